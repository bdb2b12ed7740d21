/** What the head of a note says, and where its text begins. */
export type Parts = {
  /** The YAML between the two `---`, or null when there is none. */
  yaml: string | null
  body: string
  /** Lines above the body. */
  offset: number
}

/** Splits a note at its frontmatter; an opening `---` that is never closed is text. */
export function splitNote(content: string): Parts {
  const text = content.replace(/^\uFEFF/, '')
  const match = /^---[ \t]*\r?\n(?:([\s\S]*?)\r?\n)??---[ \t]*(?:\r?\n|$)/.exec(text)
  if (!match) return { yaml: null, body: text, offset: 0 }
  return {
    yaml: match[1] ?? '',
    body: text.slice(match[0].length),
    offset: match[0].split('\n').length - 1,
  }
}

/**
 * The plain `key: value`, `key: [a, b]` and `- item` lines of a frontmatter, whatever else stands there.
 * Quick enough to run over a whole vault, and it reads what strict YAML refuses, such as `related: [[a]], [[b]]`.
 */
export function looseFrontmatter(yaml: string): Record<string, unknown> {
  const found = new Map<string, unknown>()
  let list: string[] | undefined
  for (const line of yaml.split(/\r?\n/)) {
    if (line.length > 5000) continue
    const item = /^\s*-\s+(.*)$/.exec(line)
    if (item && list) {
      list.push(unquote(item[1] ?? ''))
      continue
    }
    const pair = /^([^\s#:'"][^:]*?)\s*:(?:\s+(.*))?$/.exec(line)
    if (!pair) continue
    const [, key = '', value = ''] = pair
    list = value.trim() === '' ? [] : undefined
    found.set(key, list ?? valueOf(value.trim()))
  }
  return Object.fromEntries(found)
}

/** The frontmatter as YAML defines it, or as far as it can be read when it is not valid. */
export async function strictFrontmatter(yaml: string): Promise<Record<string, unknown>> {
  // Loaded on the first note that is opened: start-up and the search index do without.
  const { parse } = await import('yaml')
  try {
    const value: unknown = parse(yaml, { maxAliasCount: 50, logLevel: 'silent' })
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {}
  } catch {
    return looseFrontmatter(yaml)
  }
}

/** Tags as Obsidian reads them: a list or text with commas or spaces, with or without `#`. */
export function tagsOf(value: unknown): string[] {
  const parts = Array.isArray(value) ? value : typeof value === 'string' ? value.split(/[,\s]+/) : []
  const tags = parts.map((part) => String(part ?? '').trim().replace(/^#/, '')).filter((tag) => tag !== '')
  return [...new Set(tags)]
}

/** A list of texts from a frontmatter value that may be one text. */
export const textsOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value]).filter((part): part is string => typeof part === 'string' && part !== '')

/** The head of a new note. Quoted as JSON, which is YAML, so that no title can break out of its line. */
export function newFrontmatter(title: string, tags: string[], date: string): string {
  const lines = [`title: ${JSON.stringify(title)}`]
  if (tags.length > 0) lines.push(`tags: [${tags.map((tag) => JSON.stringify(tag)).join(', ')}]`)
  return `---\n${lines.join('\n')}\ncreated: ${date}\nupdated: ${date}\n---\n\n`
}

function valueOf(text: string): unknown {
  const flow = /^\[(?!\[)(.*)\]$/.exec(text)
  if (flow) return (flow[1] ?? '').split(',').map(unquote).filter((item) => item !== '')
  return unquote(text)
}

function unquote(text: string): string {
  const trimmed = text.trim()
  const [, single, double] = /^(?:'(.*)'|"(.*)")$/.exec(trimmed) ?? []
  if (single !== undefined) return single.replaceAll("''", "'")
  if (double !== undefined) return double.replace(/\\(["\\])/g, '$1')
  return trimmed.replace(/\s+#.*$/, '')
}
