/** Names for the ids that stand in a text; undefined where there is none. */
export type Names = (id: string) => Promise<string | undefined>

const ENTITIES: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>' }
const unescape = (text: string): string => text.replace(/&(amp|lt|gt);/g, (entity) => ENTITIES[entity]!)

/** People beyond these keep their ids, so that a text can't make us ask for thousands. */
const MAX_NAMES = 20

/** What a person wrote, without Slack's marks for people, channels and links. */
export async function readable(text: string, nameOf: Names): Promise<string> {
  const ids = new Set([...text.matchAll(/<@([UW][A-Z0-9]+)>/g)].map(([, id]) => id!))
  const found = await Promise.all([...ids].slice(0, MAX_NAMES).map(async (id) => [id, await nameOf(id)] as const))
  const names = new Map(found)
  const plain = text.replace(/<([^<>\n]+)>/g, (_, inside: string) => {
    const [what = '', label] = splitOnce(inside)
    if (what.startsWith('@')) return `@${label ?? names.get(what.slice(1)) ?? what.slice(1)}`
    if (what.startsWith('#')) return `#${label || what.slice(1)}`
    if (what.startsWith('!')) return special(what.slice(1), label)
    const address = what.replace(/^mailto:/, '')
    return label === undefined || label === address ? address : `${label} (${address})`
  })
  return unescape(plain).trim()
}

/** `here`, `channel`, `subteam^S123`, `date^…`. */
function special(what: string, label: string | undefined): string {
  if (label !== undefined) return what.startsWith('date^') || label.startsWith('@') ? label : `@${label}`
  return `@${what.replace(/\^.*$/, '')}`
}

function splitOnce(inside: string): [string, string | undefined] {
  const at = inside.indexOf('|')
  return at < 0 ? [inside, undefined] : [inside.slice(0, at), inside.slice(at + 1)]
}
