import { createHash } from 'node:crypto'

/** Where a message was written. */
export type Place = { channel: string; chat_type: string; chat_id: string; sender_id: string; thread_id?: string }

/** As OpenAgent's bridges name them, so that a direct chat goes on where it was (spec openagent-api §8). */
const SHORT: Record<string, string> = { telegram: 'tg', discord: 'dc', whatsapp: 'wa', slack: 'sl' }
const MAX = 200

/** `dm`, `group` or `channel` for the names that platforms have for these; any other type is a room of its own. */
export function chatKind(chatType: string): string {
  const type = chatType.toLowerCase()
  if (type === 'dm' || type === 'private') return 'dm'
  if (type === 'group' || type === 'supergroup') return 'group'
  return type
}

/**
 * The session of a place: `tg:42` for a person, `tg:group:-100`, `tg:group:-100:thread:7`. Parts are escaped so that no
 * id of any platform can end up as another place; the name of the channel comes first, so two bots never share one.
 */
export function sessionKey({ channel, chat_type, chat_id, sender_id, thread_id }: Place): string {
  const kind = chatKind(chat_type)
  const where = kind === 'dm' ? [sender_id] : [kind, chat_id]
  const thread = thread_id === undefined ? [] : ['thread', thread_id]
  const key = [channelPrefix(channel), ...[...where, ...thread].map(escaped)].join(':')
  if (key.length <= MAX) return key
  const digest = createHash('sha256').update(key).digest('hex')
  return `${key.slice(0, 100)}~${digest}`
}

/** `telegram` becomes `tg`; a channel that is called `tg` is another one. */
function channelPrefix(name: string): string {
  if (SHORT[name]) return SHORT[name]
  const taken = Object.values(SHORT).includes(name)
  return taken ? `=${hex(name.charCodeAt(0))}${escaped(name.slice(1))}` : escaped(name)
}

/** Everything that separates, escapes, or may not stand in a session's id becomes `=XX` for each byte. */
export const escaped = (part: string): string =>
  part.replace(
    // oxlint-disable-next-line no-control-regex
    /[\s:=~/\\%?#\x00-\x1f\x7f]/gu,
    (char) => [...new TextEncoder().encode(char)].map((byte) => `=${hex(byte)}`).join(''),
  ).replace(/\p{Cs}/gu, (half) => `=u${half.charCodeAt(0).toString(16)}`)

const hex = (byte: number): string => byte.toString(16).padStart(2, '0').toUpperCase()
