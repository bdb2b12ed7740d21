import { randomUUID } from 'node:crypto'
import type { ChannelApi } from '../sdk/channel.ts'
import type { Client } from './client.ts'
import { withoutFormat } from './format.ts'
import { type IrcMessage, lineOf, nickOf } from './message.ts'

/** Changed nicks that are followed. */
const MOVED = 1000
/** Messages whose writer is known, for the answer. */
const REMEMBERED = 500

/** What people say on IRC, as messages of the core. */
export function createIncoming(api: ChannelApi) {
  /** The nick of today, by the one that somebody wrote with. */
  const moved = new Map<string, string>()
  /** Who wrote a message, under the nick of today. */
  const writers = new Map<string, string>()

  function renamed(from: string, to: string, client: Client): void {
    const [before, after] = [client.fold(from), client.fold(to)]
    // Answers follow whoever asked. Whoever had the new nick before does not have it any more.
    moved.delete(after)
    moved.delete(before)
    moved.set(before, after)
    if (moved.size > MOVED) moved.delete(moved.keys().next().value!)
    for (const [message, nick] of writers) if (client.fold(nick) === before) writers.set(message, to)
  }

  function remember(message: string, nick: string, client: Client): void {
    // This nick is theirs now, whoever gave it up and would be followed.
    moved.delete(client.fold(nick))
    writers.set(message, nick)
    if (writers.size > REMEMBERED) writers.delete(writers.keys().next().value!)
  }

  /** An account can't be taken by others; a nick can, so without one the address stands beside it. */
  function identityOf({ tags, source }: IrcMessage, client: Client): string {
    const { account } = tags
    return account && account !== '*' ? client.fold(account) : source
  }

  async function said(message: IrcMessage, client: Client): Promise<void> {
    const { source, params, tags } = message
    const [target = '', given = ''] = params
    const nick = nickOf(source)
    if (nick === '' || !source.includes('!') || client.fold(nick) === client.fold(client.nick)) return
    const action = /^\x01ACTION ([^\x01]*)\x01?$/.exec(given)
    if (!action && given.startsWith('\x01')) return answerCtcp(given, nick, client)
    const text = withoutFormat(action ? `* ${nick} ${action[1]}` : given)
    const direct = client.fold(target) === client.fold(client.nick)
    if (!direct && !client.isChannel(target)) return
    const name = namedIn(text, client.nick)
    const message_id = tags.msgid || randomUUID()
    remember(message_id, nick, client)
    await api.received({
      message_id,
      chat_id: client.fold(direct ? nick : target),
      sender: { id: identityOf(message, client), username: nick, display_name: nick },
      content: { type: 'text', text: name.rest },
      routing: { channel: 'irc', chat_type: direct ? 'dm' : 'group', network: client.server },
      mentions_bot: direct || name.named,
      ...(tags.time && !Number.isNaN(Date.parse(tags.time)) ? { timestamp: tags.time } : {}),
      ...(tags['+draft/reply'] ? { reply_to: tags['+draft/reply'] } : {}),
    })
  }

  return {
    async take(message: IrcMessage, client: Client): Promise<void> {
      const { command, params, source } = message
      if (command === 'PRIVMSG') return await said(message, client)
      if (command === 'NICK') renamed(nickOf(source), params[0] ?? '', client)
      if (command === 'KICK' && client.fold(params[1] ?? '') === client.fold(client.nick)) {
        api.log.warn(`Thrown out of ${params[0]} by ${nickOf(source)}: ${params[2] ?? ''}`)
      }
      if (/^(47[1-7]|40[35]|489)$/.test(command)) api.log.warn(`${params[1]}: ${params.at(-1)}`)
    },

    /** The nick of who wrote a message, as it is now. */
    writerOf: (messageId: string | undefined): string | undefined =>
      messageId === undefined ? undefined : writers.get(messageId),

    /** Where a message to this chat goes now. */
    targetOf(chatId: string): string {
      let target = chatId
      for (let i = 0; i < 10 && moved.has(target); i++) target = moved.get(target)!
      return target
    },
  }
}

/** Whether a text names us, and what it says without the address in front: `gatehouse: hello`. */
function namedIn(text: string, nick: string): { named: boolean; rest: string } {
  const name = nick.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const address = new RegExp(`^@?${name}\\s*[:,]\\s*`, 'i').exec(text)
  if (address) return { named: true, rest: text.slice(address[0].length) }
  return { named: new RegExp(`(^|[^\\w-])@?${name}($|[^\\w-])`, 'i').test(text), rest: text }
}

/** What other programs ask; everything else about us is not theirs to know. */
function answerCtcp(text: string, nick: string, client: Client): void {
  const [, verb, rest = ''] = /^\x01(VERSION|PING)(?: ([^\x01]{0,100}))?\x01?$/.exec(text) ?? []
  if (verb) {
    client.send(lineOf('NOTICE', nick, `\x01${verb} ${verb === 'PING' ? rest : 'Gatehouse'}\x01`), { optional: true })
  }
}
