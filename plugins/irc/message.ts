/** One line of the IRC protocol (https://modern.ircdocs.horse/). */
export type IrcMessage = {
  tags: Record<string, string>
  /** `nick!user@host`, or the name of a server; empty when it is left out. */
  source: string
  /** Upper case, or three digits. */
  command: string
  params: string[]
}

const ESCAPED: Record<string, string> = { ':': ';', s: ' ', '\\': '\\', r: '\r', n: '\n' }

/** Reads a line; undefined for one without a command. */
export function parseMessage(line: string): IrcMessage | undefined {
  let rest = line
  const tags: Record<string, string> = {}
  if (rest.startsWith('@')) {
    const end = rest.indexOf(' ')
    if (end < 0) return undefined
    for (const tag of rest.slice(1, end).split(';')) {
      const [, name, value = ''] = /^([^=]*)=?([^]*)$/.exec(tag)!
      tags[name!] = value.replace(/\\(.?)/g, (_, char: string) => ESCAPED[char] ?? char)
    }
    rest = rest.slice(end).trimStart()
  }
  let source = ''
  if (rest.startsWith(':')) {
    const end = rest.indexOf(' ')
    if (end < 0) return undefined
    source = rest.slice(1, end)
    rest = rest.slice(end).trimStart()
  }
  const trailing = rest.startsWith(':') ? 0 : rest.indexOf(' :')
  const words = (trailing < 0 ? rest : rest.slice(0, trailing)).split(' ').filter(Boolean)
  const command = words.shift()
  if (!command) return undefined
  if (trailing >= 0) words.push(rest.slice(trailing + 2))
  return { tags, source, command: command.toUpperCase(), params: words }
}

/** A line with its parameters; nothing in them can begin another line or parameter. */
export function lineOf(command: string, ...params: string[]): string {
  const clean = params.map((param) => param.replace(/[\r\n\0]+/g, ' '))
  const last = clean.pop()
  if (last === undefined) return command
  const middle = clean.map((param) => param.replace(/\s+/g, '_').replace(/^:+/, ''))
  return [command, ...middle, `:${last}`].join(' ')
}

export const nickOf = (source: string): string => source.split('!')[0]!

/** Lower case as a network sees it; `{|}^` are the lower case of `[\]~` unless it says `ascii`. */
export function casefold(name: string, mapping: string): string {
  const lower = name.replace(/[A-Z]/g, (char) => char.toLowerCase())
  if (mapping === 'ascii') return lower
  const more = lower.replaceAll('[', '{').replaceAll(']', '}').replaceAll('\\', '|')
  return mapping === 'rfc1459-strict' || mapping === 'strict-rfc1459' ? more : more.replaceAll('~', '^')
}
