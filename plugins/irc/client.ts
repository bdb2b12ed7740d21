import { Buffer } from 'node:buffer'
import { PluginError } from '../sdk/errors.ts'
import { type Connection, openConnection, type SendOptions } from './connection.ts'
import { casefold, type IrcMessage, lineOf, nickOf } from './message.ts'

/** As the schema of `plugin.json` describes it. */
export type Settings = {
  server: string
  port: number
  tls: boolean
  nick: string
  channels: string[]
  login: 'sasl' | 'nickserv' | 'server'
  account: string
  realName: string
  linesPerSecond: number
  password: string | undefined
}

/** What we ask of the network: who people are, and when they wrote. */
const WANTED = ['account-tag', 'message-tags', 'server-time', 'account-notify', 'extended-join', 'sasl']
/** What may stand before a channel's name, to say it to the people of that rank and above. */
const RANKS = ['~', '&', '@', '%', '+']
/** A server that says nothing for so long is asked, and then left. */
const SILENCE_MS = 120_000
const ANSWER_MS = 60_000

export type Client = {
  nick: string
  server: string
  /** What the server understood. */
  capabilities: Set<string>
  fold(name: string): string
  /** A channel, or those in it who have a rank: `@#channel`. */
  isChannel(target: string): boolean
  send(line: string, options?: SendOptions): void
  /** Sends lines and resolves when the server has taken them; throws what it said against them. */
  deliver(target: string, lines: string[]): Promise<void>
  /** Bytes of a text that others get whole. */
  room(target: string): number
}

/** Failures of one message, by numeric: what they mean. */
const REFUSED: Record<string, string> = {
  401: 'chat_not_found',
  402: 'chat_not_found',
  403: 'chat_not_found',
  404: 'forbidden',
  407: 'invalid_request',
  411: 'invalid_request',
  412: 'invalid_request',
  415: 'forbidden',
  442: 'forbidden',
  477: 'forbidden',
  486: 'forbidden',
  531: 'forbidden',
  716: 'forbidden',
}

/**
 * One life of a connection: logs in, joins, and hands over everything that is said until the connection ends. Throws
 * `unauthorized` when the network refuses who we are.
 */
export async function runClient(settings: Settings, on: {
  signal: AbortSignal
  ready: (client: Client) => void
  message: (message: IrcMessage, client: Client) => Promise<void>
}): Promise<void> {
  const connection = await openConnection({ ...settings, signal: on.signal })
  const state = { nick: settings.nick, user: settings.nick, host: '', mapping: 'rfc1459', prefixes: '#&' }
  const offered = new Set<string>()
  const capabilities = new Set<string>()
  const barriers = new Map<string, { target: string; resolve: () => void; reject: (error: Error) => void }>()
  let registered = false
  let barrier = 0
  let heard = performance.now()

  const isPrefix = (sign = ''): boolean => sign !== '' && state.prefixes.includes(sign)
  const { send } = connection
  const now = (line: string): void => send(line, { urgent: true })
  const client: Client = {
    get nick() {
      return state.nick
    },
    server: settings.server,
    capabilities,
    fold: (name) => casefold(name, state.mapping),
    isChannel: (target) => isPrefix(target[0]) || (RANKS.includes(target[0]!) && isPrefix(target[1])),
    send,
    deliver(target, lines) {
      for (const line of lines) send(lineOf('PRIVMSG', target, line))
      const token = `gh${++barrier}`
      return new Promise((resolve, reject) => {
        barriers.set(token, { target: client.fold(target), resolve, reject })
        // Answered in order, so after whatever there is to say against the lines.
        send(lineOf('PING', token))
      })
    },
    room(target) {
      const source = `:${state.nick}!${state.user}@${state.host || 'x'.repeat(63)}`
      return 510 - Buffer.byteLength(`${source} PRIVMSG ${target} :`)
    },
  }

  function login(): void {
    if (settings.password && settings.login === 'server') now(lineOf('PASS', settings.password))
    now('CAP LS 302')
    now(lineOf('NICK', state.nick))
    now(lineOf('USER', settings.nick, '0', '*', settings.realName))
  }

  function negotiate([, verb, ...rest]: string[]): void {
    const names = (rest.at(-1) ?? '').split(' ').filter(Boolean).map((name) => name.split('=')[0]!)
    if (verb === 'LS') {
      for (const name of names) offered.add(name)
      if (rest[0] === '*') return
      const wants = WANTED.filter((name) => offered.has(name) && (name !== 'sasl' || usesSasl))
      if (usesSasl && !offered.has('sasl')) {
        throw new PluginError('unauthorized', `${settings.server} knows no SASL; set "Password is for" to nickserv`)
      }
      if (wants.length > 0) now(lineOf('CAP', 'REQ', wants.join(' ')))
      else now('CAP END')
    } else if (verb === 'ACK') {
      for (const name of names) capabilities.add(name)
      if (usesSasl && !registered) now('AUTHENTICATE PLAIN')
      else if (!registered) now('CAP END')
    } else if (verb === 'NAK' && !registered) now('CAP END')
  }
  const usesSasl = settings.login === 'sasl' && settings.password !== undefined

  function authenticate(): void {
    const { account, password = '' } = settings
    const text = Buffer.from(`${account}\0${account}\0${password}`).toString('base64')
    // In pieces of 400; a last piece of exactly that length is followed by an empty one.
    const pieces = text.match(/.{1,400}/g) ?? []
    for (const piece of pieces) now(`AUTHENTICATE ${piece}`)
    if (text.length % 400 === 0) now('AUTHENTICATE +')
  }

  function welcome({ params }: IrcMessage): void {
    registered = true
    state.nick = params[0] ?? state.nick
    if (settings.password && settings.login === 'nickserv') {
      now(lineOf('PRIVMSG', 'NickServ', `IDENTIFY ${settings.account} ${settings.password}`))
    }
    // Our own place in the network, which the length of messages depends on.
    now(lineOf('USERHOST', state.nick))
    for (const channel of settings.channels) {
      const [name, key] = channel.split(' ')
      send(`JOIN ${name}${key ? ` ${key}` : ''}`)
    }
  }

  async function take(message: IrcMessage): Promise<void> {
    const { command, params, source } = message
    switch (command) {
      case 'PING':
        return now(lineOf('PONG', params.at(-1) ?? ''))
      case 'PONG': {
        const token = params.at(-1) ?? ''
        barriers.get(token)?.resolve()
        barriers.delete(token)
        return
      }
      case 'CAP':
        return negotiate(params)
      case 'AUTHENTICATE':
        return params[0] === '+' ? authenticate() : undefined
      case '903':
      case '907':
        return now('CAP END')
      case '902':
      case '904':
      case '905':
      case '906':
      case '464':
        throw new PluginError('unauthorized', `${settings.server} refuses the password: ${params.at(-1)}`)
      case '465':
        throw new PluginError('unauthorized', `${settings.server} has banned us: ${params.at(-1)}`)
      case '001':
        return welcome(message)
      case '005':
        for (const token of params) {
          const [name, value = ''] = token.split('=')
          if (name === 'CASEMAPPING') state.mapping = value
          if (name === 'CHANTYPES' && value) state.prefixes = value
        }
        return
      case '302': {
        const own = /=[+-]?([^@]+)@(\S+)/.exec(params.at(-1) ?? '')
        if (own) [state.user, state.host] = [own[1]!, own[2]!]
        return
      }
      case '376':
      case '422':
        return on.ready(client)
      case '433':
      case '436':
        if (registered) return
        state.nick = `${state.nick}_`.slice(-30)
        return now(lineOf('NICK', state.nick))
      case '432':
        throw new PluginError('invalid_request', `${settings.server} does not take the nick ${state.nick}`)
      case 'NICK':
        if (client.fold(nickOf(source)) === client.fold(state.nick)) state.nick = params[0] ?? state.nick
        break
      case 'ERROR':
        throw new Error(`${settings.server} ended the connection: ${params.at(-1)}`)
    }
    if (REFUSED[command]) return refused(message)
    await on.message(message, client)
  }

  function refused({ command, params }: IrcMessage): void {
    const target = client.fold(params[1] ?? '')
    const [token, waiting] = [...barriers].find(([, waiting]) => waiting.target === target) ?? []
    if (!waiting) return
    barriers.delete(token!)
    waiting.reject(new PluginError(REFUSED[command]!, `${params[1]}: ${params.at(-1)}`))
  }

  const watch = setInterval(() => {
    const silent = performance.now() - heard
    if (silent > SILENCE_MS + ANSWER_MS) connection.close()
    else if (silent > SILENCE_MS) now(lineOf('PING', 'still-there'))
  }, 10_000)

  try {
    login()
    for await (const message of connection.messages) {
      heard = performance.now()
      await take(message)
    }
    if (!on.signal.aborted) throw new Error(`${settings.server} closed the connection`)
  } finally {
    clearInterval(watch)
    connection.close()
    // Whether their lines arrived is not known: the core asks again with the same id.
    for (const { reject } of barriers.values()) reject(new PluginError('not_connected', 'The connection was lost'))
  }
}

export type { Connection }
