/** The header of a mail: each field in order, unfolded, names in lower case. */
export function parseHeader(raw: string): [name: string, value: string][] {
  const fields: [string, string][] = []
  for (const line of raw.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.push([line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()])
  }
  return fields
}

/** Message ids in a field such as `References`, without their brackets. */
export const idsIn = (value: string): string[] => [...value.matchAll(/<([^<>\s]{1,900})>/g)].map(([, id]) => id!)

type Header = ReturnType<typeof parseHeader>

/** The first field of a name. */
export const field = (header: Header, name: string): string => header.find(([key]) => key === name)?.[1] ?? ''

/**
 * Whether a program sent it: answers to those end in two machines that write to each other for ever (RFC 3834 §2).
 * Lists are left out too, for an answer would go to people who never wrote.
 */
export function isAutomatic(header: Header, from: string): boolean {
  const auto = field(header, 'auto-submitted').toLowerCase()
  if (auto !== '' && !auto.startsWith('no')) return true
  if (/^(bulk|list|junk|auto_reply)/i.test(field(header, 'precedence'))) return true
  if (header.some(([name]) => name === 'list-id' || name === 'x-auto-response-suppress')) return true
  return /^(mailer-daemon|postmaster|no-?reply|do-?not-?reply)@/i.test(from)
}

/**
 * Whether the receiving server found the sender's domain confirmed. Only the topmost result counts: it was added last,
 * by that server, while those below may have come with the mail (RFC 8601 §5).
 */
export function isConfirmed(header: Header, from: string): boolean {
  const result = field(header, 'authentication-results').toLowerCase()
  if (!/\bdmarc\s*=\s*pass\b/.test(result)) return false
  const domain = from.slice(from.lastIndexOf('@') + 1)
  const named = /\bheader\.from\s*=\s*"?([^\s;"]+)/.exec(result)?.[1]
  return named === undefined || named.slice(named.lastIndexOf('@') + 1) === domain
}
