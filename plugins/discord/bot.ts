import { setTimeout as sleep } from 'node:timers/promises'
import { API, GatewayDispatchEvents, GatewayIntentBits } from '@discordjs/core'
import { REST } from '@discordjs/rest'
import { WebSocketManager, WebSocketShardEvents } from '@discordjs/ws'
import type { Channel, ChannelApi } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { createChannels, type Message } from './channels.ts'
import { openHistory } from './history.ts'
import { createIncoming, type Self } from './incoming.ts'
import { createInteractions, slashCommands } from './interactions.ts'
import { createOutgoing } from './outgoing.ts'
import { isRefusedToken, PATIENCE_MS, plain, refusal } from './refusal.ts'
import { createTyping } from './typing.ts'

const MAX_PAUSE_MS = 60_000
/** Handled events after which the place is kept, even while more of them come. */
const SAVE_EVERY = 50

const REFUSED = 'Discord refused the bot token; the developer portal gives a new one, page Bot'

/** Why the gateway closes for good, by the library's words, and what the owner can do about it. */
const CLOSED: Record<string, [code: string, words: string]> = {
  'Authentication failed': ['unauthorized', REFUSED],
  'Used disallowed intents': [
    'forbidden',
    'Discord does not let this bot read messages: turn on "Message Content Intent" in the developer portal, page Bot, ' +
    'or turn off "Read everything in groups" here',
  ],
}

/** One bot: the gateway in, the API out. Throws `PluginError` when the token is refused. */
export async function startBot(
  channel: ChannelApi,
  { token, root, message_content, slash_commands }: {
    token: string
    root: string
    message_content: boolean
    slash_commands: boolean
  },
): Promise<Channel> {
  const rest = new REST({ api: root, rejectOnRateLimit: ({ retryAfter }) => retryAfter > PATIENCE_MS }).setToken(token)
  const api = new API(rest)
  const self: Self = { id: '', name: '', roles: new Set() }
  const history = await openHistory({ state: channel.state, api })
  const channels = createChannels(api)
  const receive = createIncoming({ channel, channels, self })
  const interactions = createInteractions({ channel, api, channels })
  const typing = createTyping({ channel, api })
  const outgoing = createOutgoing(api)
  let connected = false

  const gateway = new WebSocketManager({
    token,
    rest,
    intents: GatewayIntentBits.Guilds | GatewayIntentBits.GuildMessages | GatewayIntentBits.DirectMessages |
      (message_content ? GatewayIntentBits.MessageContent : 0),
    retrieveSessionInfo: history.session,
    updateSessionInfo: history.setSession,
  })

  async function take(message: Message): Promise<void> {
    typing.wroteIn(await channels.placeOf(message))
    await receive(message)
    history.hear(message)
  }

  async function catchUp(): Promise<void> {
    for await (const message of history.missed()) await take(message)
  }

  function up(): void {
    connected = true
    channel.status(true, { identity: self.name })
  }

  function down(detail: string): void {
    if (connected) channel.log.warn(`No messages from Discord: ${detail}`)
    connected = false
    channel.status(false, { detail })
  }

  /** Events one after the other; the place moves on when the core has stored what they told. */
  let line: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let unsaved = 0
  function enqueue(work: () => Promise<void>, handled: () => void = () => {}): void {
    waiting++
    line = line.then(async () => {
      await lasting(work)
      waiting--
      if (channel.signal.aborted) return
      handled()
      if (waiting > 0 && ++unsaved < SAVE_EVERY) return
      unsaved = 0
      await history.save()
    }).catch((error: unknown) => channel.log.error(`The place could not be kept: ${(error as Error).message}`))
  }

  /** What only waits for Discord to be there again is not lost. */
  async function lasting(work: () => Promise<void>): Promise<void> {
    for (let pause = 1000; !channel.signal.aborted; pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
      try {
        return await work()
      } catch (error) {
        const { code, retryAfterMs } = error instanceof PluginError ? error : { code: 'bug', retryAfterMs: undefined }
        if (code !== 'not_connected' && code !== 'rate_limited') {
          return channel.log.error(`An event could not be handled: ${(error as Error).message}`)
        }
        await sleep(retryAfterMs ?? pause, undefined, { signal: channel.signal }).catch(() => {})
      }
    }
  }

  gateway.on(WebSocketShardEvents.Dispatch, (event, shard) => {
    const session = history.session(shard)
    const handled = (): void => history.handled(shard, session)
    switch (event.t) {
      case GatewayDispatchEvents.Ready:
        self.id = event.d.user.id
        self.name = nameOf(event.d.user)
        up()
        return enqueue(catchUp, handled)
      case GatewayDispatchEvents.Resumed:
        up()
        return enqueue(async () => {}, handled)
      case GatewayDispatchEvents.GuildCreate:
        if (!('channels' in event.d)) return
        channels.noteAll([...event.d.channels, ...event.d.threads])
        for (const role of event.d.roles) if (role.tags?.bot_id === self.id) self.roles.add(role.id)
        return
      case GatewayDispatchEvents.ThreadListSync:
        return channels.noteAll(event.d.threads)
      case GatewayDispatchEvents.ChannelCreate:
      case GatewayDispatchEvents.ThreadCreate:
        return channels.note(event.d)
      case GatewayDispatchEvents.MessageCreate: {
        const message = event.d as Message
        return enqueue(() => take(message), handled)
      }
      case GatewayDispatchEvents.InteractionCreate: {
        const tell = interactions.take(event.d)
        return tell && enqueue(tell, handled)
      }
    }
  })
  gateway.on(WebSocketShardEvents.Closed, (code) => down(`the connection was closed (${code})`))
  // The library connects again by itself.
  gateway.on(WebSocketShardEvents.SocketError, () => down("Discord's gateway can't be reached"))
  gateway.on(WebSocketShardEvents.Error, (error) => {
    const [code, words] = CLOSED[error.message] ?? ['platform_error', error.message]
    channel.fail(code, words).catch(() => {})
  })

  async function connect(): Promise<void> {
    for (let pause = 1000; !channel.signal.aborted; pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
      try {
        if (self.id === '') await know()
        if (slash_commands) await listCommands()
        return await gateway.connect()
      } catch (error) {
        if (channel.signal.aborted || (error as Error).message in CLOSED) return
        if (isRefusedToken(error)) return void await channel.fail('unauthorized', REFUSED)
        down(plain(error))
        const wait = refusal(error).retryAfterMs ?? pause
        await sleep(wait, undefined, { signal: channel.signal }).catch(() => {})
      }
    }
  }

  async function know(signal: AbortSignal = channel.signal): Promise<void> {
    const user = await api.users.getCurrent({ signal })
    self.id = user.id
    self.name = nameOf(user)
  }

  /** Once for each list, since Discord keeps them. */
  async function listCommands(): Promise<void> {
    const list = JSON.stringify([self.id, slashCommands])
    if (await channel.state.get('commands') === list) return
    await api.applicationCommands.bulkOverwriteGlobalCommands((await api.applications.getCurrent()).id, slashCommands)
    await channel.state.set('commands', list)
  }

  await know(AbortSignal.any([channel.signal, AbortSignal.timeout(10_000)])).catch((error: unknown) => {
    if (isRefusedToken(error)) throw new PluginError('unauthorized', REFUSED)
  })
  connect().catch((error: unknown) => channel.fail('platform_error', plain(error)).catch(() => {}))

  return {
    ...outgoing,
    typing: typing.typing,
    answerCallback: interactions.answer,
    connected: () => connected,
  }
}

/** As Discord shows a bot, whose username alone others may have too. */
const nameOf = ({ username, discriminator }: { username: string; discriminator: string }): string =>
  discriminator === '0' ? username : `${username}#${discriminator}`
