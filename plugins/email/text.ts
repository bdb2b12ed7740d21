/** Where the mail that is answered begins, in the languages and programs that are seen most. */
const QUOTE_HEADS = [
  /^On .{5,200} wrote:\s*$/,
  /^Am .{5,200} schrieb .{0,200}:\s*$/,
  /^Le .{5,200} a écrit\s*:\s*$/,
  /^El .{5,200} escribió:\s*$/,
  /^-{2,}\s*(Original Message|Ursprüngliche Nachricht|Message d'origine)\s*-{2,}\s*$/i,
  /^_{10,}\s*$/,
]

/** What was newly written: without the quoted mail at the end, and without the signature. */
export function newText(text: string): string {
  const lines = text.replaceAll('\r\n', '\n').split('\n')
  // Some programs break the line that introduces the quotation in two.
  const head = lines.findIndex((line, i) =>
    QUOTE_HEADS.some((pattern) => pattern.test(line) || pattern.test(`${line} ${lines[i + 1] ?? ''}`.trim()))
  )
  let own = head > 0 ? lines.slice(0, head) : lines
  const signature = own.findIndex((line) => line === '-- ')
  if (signature > 0) own = own.slice(0, signature)
  while (own.length > 0 && /^(>.*|\s*)$/.test(own.at(-1)!)) own.pop()
  const kept = own.join('\n').trim()
  // A mail that is nothing but a quotation is given as it is.
  return kept === '' ? text.trim() : kept
}

/** Those that mail programs write; any other character comes as itself or by number. */
const ENTITIES: Record<string, string> = Object.fromEntries(
  ('amp& lt< gt> quot" apos\' auml\u00e4 ouml\u00f6 uuml\u00fc Auml\u00c4 Ouml\u00d6 Uuml\u00dc szlig\u00df ' +
    'eacute\u00e9 egrave\u00e8 ecirc\u00ea agrave\u00e0 acirc\u00e2 aacute\u00e1 ccedil\u00e7 ntilde\u00f1 ' +
    'oacute\u00f3 iacute\u00ed uacute\u00fa euro\u20ac pound\u00a3 hellip\u2026 ndash\u2013 mdash\u2014 ' +
    'lsquo\u2018 rsquo\u2019 ldquo\u201c rdquo\u201d laquo\u00ab raquo\u00bb bull\u2022 copy\u00a9 reg\u00ae ' +
    'trade\u2122 deg\u00b0 times\u00d7').split(' ').map((entry) => [entry.slice(0, -1), entry.slice(-1)]),
)
ENTITIES.nbsp = ' '

/** The text of an HTML mail, for mails that have no other; blocks become lines, links keep their address. */
export function htmlToText(html: string): string {
  return html
    .replace(/<(script|style|head|title)\b[\s\S]*?<\/\1\s*>/gi, '')
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/<blockquote\b[\s\S]*$/i, '')
    .replace(/\s+/g, ' ')
    .replace(
      /<a\b[^>]*?href\s*=\s*["']?(https?:[^"'\s>]+)[^>]*>([\s\S]*?)<\/a\s*>/gi,
      (_, href: string, inner: string) => {
        const shown = inner.replace(/<[^>]*>/g, '').trim()
        return shown === '' || shown === href ? href : `${shown} (${href})`
      },
    )
    .replace(/<li\b[^>]*>/gi, '\n- ')
    .replace(/<(br|\/p|\/div|\/tr|\/h[1-6]|\/ul|\/ol|\/table)\b[^>]*>/gi, '\n')
    .replace(/<[^>]*>/g, '')
    .replace(/&(#x?[0-9a-f]{1,6}|[a-z]{2,6});/gi, (whole, name: string) => {
      if (!name.startsWith('#')) return ENTITIES[name] ?? ENTITIES[name.toLowerCase()] ?? whole
      const code = name[1]?.toLowerCase() === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : ''
    })
    .split('\n').map((line) => line.trim()).join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}
