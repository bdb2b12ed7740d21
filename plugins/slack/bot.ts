import { setTimeout as sleep } from 'node:timers/promises'
import type { Channel, ChannelApi } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { createApi } from './api.ts'
import { isSaid, type SlackEvent, type SlackMessage } from './events.ts'
import { openHistory, type Place } from './history.ts'
import { createIncoming, type Self, type Threads } from './incoming.ts'
import { type BlockActions, createInteractions, type SlashCommand } from './interactions.ts'
import type { Envelope } from './line.ts'
import { createOutgoing } from './outgoing.ts'
import { createPeople } from './people.ts'
import { createReactions } from './reactions.ts'
import { keepConnected } from './socket.ts'
import { createTurns } from './turns.ts'

const MAX_PAUSE_MS = 60_000
const START_MS = 5000

export type Settings = Threads & {
  root: string
  botToken: string
  appToken: string
  /** Milliseconds without news after which a connection is replaced. */
  quietMs: number
}

/** One bot: the socket mode in, the Web API out. Throws `PluginError` when a token is refused. */
export async function startBot(channel: ChannelApi, settings: Settings): Promise<Channel> {
  const { signal, log } = channel
  const { root } = settings
  const api = createApi({ root, name: 'bot token', token: settings.botToken, signal })
  const app = createApi({ root, name: 'app token', token: settings.appToken, signal })
  const self: Self & { team: string } = { id: '', name: '', bot: '', team: '' }
  const history = await openHistory({ channel, api })
  const people = createPeople({ api, log })
  const receive = createIncoming({ channel, api, people, history, self, threads: settings })
  const interactions = createInteractions({ channel, api, people })
  const turns = createTurns()
  let connected = false

  async function know(limits: { timeoutMs?: number } = {}): Promise<void> {
    if (self.id !== '') return
    type Who = { user_id: string; user: string; bot_id?: string; team?: string }
    const { user_id, user, bot_id, team = '' } = await api.call<Who>('auth.test', {}, limits)
    if (!bot_id) throw new PluginError('unauthorized', 'The bot token is one of a person; take the one with xoxb-')
    Object.assign(self, { id: user_id, name: user, bot: bot_id, team })
  }

  /** Tells of a message once, however often Slack says it, and resolves when the core has stored it. */
  const hear = (message: SlackMessage & { user: string }): Promise<void> =>
    turns.once(`${message.channel}/${message.ts}`, async () => {
      await receive(message)
      await channel.settled()
      history.hear(message)
    })

  const isHeard = (event: SlackEvent | SlackMessage): event is SlackMessage & { user: string } =>
    isSaid(event) && event.user !== self.id

  async function happen(event: SlackEvent): Promise<void> {
    if (isHeard(event)) return await turns.inTurn(event.channel, () => hear(event))
    switch (event.type) {
      case 'member_joined_channel':
        // From here on there is something to miss.
        if (event.user === self.id && event.channel && event.event_ts) {
          history.hear({ channel: event.channel, ts: event.event_ts })
        }
        return
      case 'user_change':
        return people.forget((event.user as { id: string }).id)
      case 'app_uninstalled':
        return void await channel.fail('unauthorized', 'The app was removed from the workspace')
    }
  }

  async function take({ type, payload }: Envelope): Promise<object | undefined> {
    switch (type) {
      case 'events_api':
        return void await happen(payload.event as SlackEvent)
      case 'slash_commands': {
        const words = await interactions.command(payload as SlashCommand)
        await channel.settled()
        return words
      }
      case 'interactive':
        if (payload.type !== 'block_actions') return undefined
        await interactions.press(payload as BlockActions)
        return void await channel.settled()
    }
  }

  /** What is said where we were, since we last heard of it. What comes meanwhile waits behind it, place by place. */
  const waiting = new Set<string>()
  let reading: Promise<unknown> = Promise.resolve()
  function catchUp(since?: number): void {
    for (const { place, from } of history.places(since)) {
      const key = `${place.channel}/${place.thread}`
      if (waiting.has(key)) continue
      waiting.add(key)
      turns.inTurn(place.channel, async () => {
        waiting.delete(key)
        // One at a time: Slack counts these calls.
        const read = reading.then(() => lasting(() => history.missed(place, from), place))
        reading = read
        for (const message of await read ?? []) if (isHeard(message)) await hear(message)
      }).catch((error: Error) => signal.aborted || log.error(`What was missed could not be told: ${error.message}`))
    }
  }

  /** What only waits for Slack to be there again is not lost. */
  async function lasting<T>(work: () => Promise<T>, place: Place): Promise<T | undefined> {
    for (let pause = 1000; !signal.aborted; pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof PluginError)) {
          log.error(`What was missed could not be read: ${(error as Error).message}`, place)
          return undefined
        }
        await sleep(error.retryAfterMs ?? pause, undefined, { signal }).catch(() => {})
      }
    }
    return undefined
  }

  function up(appId: string | undefined): void {
    connected = true
    channel.status(true, { identity: self.team ? `@${self.name} in ${self.team}` : `@${self.name}` })
    if (appId) checkApp(appId).catch((error: Error) => log.debug(`The app could not be asked for: ${error.message}`))
  }

  let checked = false
  /** With the tokens of two apps everything would be connected, and nothing heard. */
  async function checkApp(appId: string): Promise<void> {
    if (checked) return
    const { bot } = await api.call<{ bot: { app_id?: string } }>('bots.info', { bot: self.bot })
    checked = true
    if (bot.app_id && bot.app_id !== appId) {
      await channel.fail('unauthorized', 'The two tokens are of two apps; take both from the pages of one')
    }
  }

  function down(detail: string): void {
    if (connected) log.warn(`No messages from Slack: ${detail}`)
    connected = false
    channel.status(false, { detail })
  }

  // The core waits for us; Slack may be slow for longer.
  await know({ timeoutMs: START_MS }).catch((error: unknown) => {
    if (error instanceof PluginError && error.code === 'unauthorized') throw error
    log.debug(`Slack is out of reach at the start: ${(error as Error).message}`)
  })
  const outgoing = await createOutgoing({ channel, api, history })
  keepConnected({
    channel,
    app,
    quietMs: settings.quietMs,
    take,
    before: know,
    up: (line) => up(line.app),
    down,
    missed: catchUp,
  }).catch((error: unknown) => {
    if (signal.aborted) return
    const code = error instanceof PluginError ? error.code : 'platform_error'
    channel.fail(code, (error as Error).message).catch(() => {})
  })

  return {
    ...outgoing,
    ...createReactions(api),
    answerCallback: interactions.answer,
    connected: () => connected,
    stop: history.save,
  }
}
