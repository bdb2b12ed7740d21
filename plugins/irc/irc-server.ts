import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { casefold, lineOf, parseMessage } from './message.ts'

type Member = {
  socket: Socket
  nick: string
  user: string
  account: string
  caps: Set<string>
  negotiating: boolean
  welcome: boolean
}

const CAPS = ['sasl', 'account-tag', 'message-tags', 'server-time']

/** As much of an IRC server as the plugin's tests need, with accounts; for people too, as `connectPerson` plays them. */
export async function startIrcServer({ password }: { password: string }) {
  const members = new Set<Member>()
  const channels = new Map<string, Set<Member>>()
  const received: string[] = []
  const fold = (name: string): string => casefold(name, 'rfc1459')
  const find = (nick: string): Member | undefined => [...members].find((member) => fold(member.nick) === fold(nick))
  const to = (member: Member, line: string): void => void member.socket.write(`${line}\r\n`)
  const mask = ({ nick, user }: Member): string => `${nick}!${user}@host.example`

  /** Says something in the name of a member, with the tags that the reader understands. */
  function say(from: Member, reader: Member, line: string): void {
    const tags = [
      ...(reader.caps.has('account-tag') && from.account ? [`account=${from.account}`] : []),
      ...(reader.caps.has('server-time') ? ['time=2026-03-01T08:15:00.000Z'] : []),
    ]
    to(reader, `${tags.length > 0 ? `@${tags.join(';')} ` : ''}:${mask(from)} ${line}`)
  }

  function negotiate(member: Member, [verb, names = '']: string[]): void {
    member.negotiating = verb !== 'END'
    if (verb === 'END') welcome(member)
    if (verb === 'LS') to(member, `:irc.example CAP * LS :${CAPS.join(' ')}=PLAIN extra`)
    if (verb === 'REQ') {
      for (const name of names.split(' ')) member.caps.add(name)
      to(member, `:irc.example CAP * ACK :${names}`)
    }
  }

  function authenticate(member: Member, [word = '']: string[]): void {
    if (word === 'PLAIN') return to(member, 'AUTHENTICATE +')
    const [, account = '', given] = atob(word).split('\0')
    if (given !== password) return to(member, `:irc.example 904 ${member.nick} :SASL authentication failed`)
    member.account = account
    to(member, `:irc.example 903 ${member.nick} :SASL authentication successful`)
  }

  function welcome(member: Member): void {
    if (member.welcome || member.negotiating || !member.nick || !member.user) return
    member.welcome = true
    to(member, `:irc.example 001 ${member.nick} :Welcome`)
    to(member, `:irc.example 005 ${member.nick} CASEMAPPING=rfc1459 CHANTYPES=# :are supported`)
    to(member, `:irc.example 422 ${member.nick} :No message of the day`)
  }

  function take(member: Member, line: string): void {
    const message = parseMessage(line)
    if (!message) return
    const { command, params } = message
    const [target = '', text = ''] = params
    switch (command) {
      case 'CAP':
        return negotiate(member, params)
      case 'AUTHENTICATE':
        return authenticate(member, params)
      case 'NICK': {
        if (find(target) && find(target) !== member) return to(member, `:irc.example 433 * ${target} :In use`)
        const before = mask(member)
        member.nick = target
        if (member.welcome) { for (const reader of members) to(reader, `:${before} NICK :${target}`) }
        return
      }
      case 'USER':
        member.user = target
        return welcome(member)
      case 'PING':
        return to(member, `:irc.example PONG irc.example :${target}`)
      case 'USERHOST':
        return to(member, `:irc.example 302 ${member.nick} :${member.nick}=+${member.user}@host.example`)
      case 'JOIN': {
        const channel = channels.get(fold(target)) ?? new Set()
        channels.set(fold(target), channel.add(member))
        for (const reader of channel) say(member, reader, `JOIN ${target}`)
        return
      }
      case 'PRIVMSG': {
        const channel = channels.get(fold(target))
        if (channel && !channel.has(member)) {
          return to(member, `:irc.example 404 ${member.nick} ${target} :Cannot send to channel`)
        }
        const readers = channel ? [...channel].filter((reader) => reader !== member) : [find(target)]
        if (!readers[0] && !channel) return to(member, `:irc.example 401 ${member.nick} ${target} :No such nick`)
        for (const reader of readers) if (reader) say(member, reader, lineOf('PRIVMSG', target, text))
      }
    }
  }

  const server = createServer((socket) => {
    const member: Member = {
      socket,
      nick: '',
      user: '',
      account: '',
      caps: new Set(),
      negotiating: false,
      welcome: false,
    }
    members.add(member)
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('data', (data: string) => {
      const lines = (rest + data).split('\r\n')
      rest = lines.pop()!
      for (const line of lines) {
        received.push(line)
        take(member, line)
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      members.delete(member)
      for (const channel of channels.values()) channel.delete(member)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    port: (server.address() as AddressInfo).port,
    /** Every line that came, whoever sent it. */
    received,
    setAccount: (nick: string, account: string): void => void (find(nick)!.account = account),
    /** Says a line to somebody in the name of another. */
    tell: (nick: string, from: string, line: string): void => say(find(from)!, find(nick)!, line),
    /** Cuts every connection. */
    drop: () => members.forEach(({ socket }) => socket.destroy()),
    close: () =>
      new Promise<void>((resolve) => {
        members.forEach(({ socket }) => socket.destroy())
        server.close(() => resolve())
      }),
  }
}
