import type {
  Channel,
  ChannelRoute,
  OutboxEntry,
  OutboxQuery,
  RouteTest,
  RouteTestResult,
  SendToChatInput,
} from '../../shared/channels.ts'
import { type Caller, can, demand } from '../auth/principal.ts'
import { notFound } from '../errors.ts'
import { demandMatch } from '../http/etag.ts'
import type { Gateway } from '../plugins/gateway.ts'
import { judge } from './access.ts'
import { createActivity } from './activity.ts'
import { createAsks } from './asks.ts'
import { createButtons } from './buttons.ts'
import { createChatCommands } from './chat-commands.ts'
import type { ChannelDeps } from './deps.ts'
import { createInbound } from './inbound.ts'
import { createInboxStore } from './inbox-store.ts'
import { createMediaFiles } from './media-files.ts'
import { createMedia } from './media.ts'
import { createOutboxStore } from './outbox-store.ts'
import { createOutbox } from './outbox.ts'
import { pageOf } from './paging.ts'
import { createPairings } from './pairing.ts'
import { createPeopleStore } from './people-store.ts'
import { createPeople } from './people.ts'
import { createQuestions } from './questions.ts'
import { createListener, createTaking } from './receiver.ts'
import { createReactions } from './reactions.ts'
import { createReplies } from './replies.ts'
import { destinationOf, noContradiction, type TaggedRules, withTag } from './routing.ts'
import { chatKind } from './session-key.ts'
import { createSettings } from './settings.ts'
import { knownLimit, splitText, type TextLimit } from './split.ts'
import { createTyping } from './typing.ts'
import { createViews, toEntry } from './views.ts'

export type Channels = Awaited<ReturnType<typeof createChannels>>

const HOUR_MS = 3600_000
const DAY_MS = 24 * HOUR_MS
/** A server that never runs for a day is tidied too. */
const FIRST_MS = 10 * 60_000
/** What is over is forgotten after so long; within it, a message that a platform sends again is recognised. */
const KEPT_MS = 30 * DAY_MS
const TELL_MS = 500

/**
 * Chat platforms over gateway plugins (design §8): a plugin only carries. Here is who may write, where a message goes,
 * what was taken and is not answered yet, and what is still to be said.
 */
export async function createChannels(deps: ChannelDeps) {
  const { plugins, bus, log, now } = deps
  const stop = new AbortController()
  const inbox = createInboxStore(deps.kysely)
  const outboxStore = createOutboxStore(deps.kysely, now)
  const people = createPeopleStore(deps.kysely)
  const settings = createSettings(deps.config)
  const activity = createActivity(now)
  const gateway = (name: string): Gateway | undefined => plugins.gateways().find((known) => known.name === name)
  let routes: readonly ChannelRoute[] = await people.routes()

  const tell = createTeller(bus)
  const changed = (channel: string): void => tell('channel', channel)
  const files = createMediaFiles({ folderOf: (name) => gateway(name)?.data_dir, now })
  const media = createMedia({ ...deps, files, settings })
  const outbox = createOutbox({
    store: outboxStore,
    gateway,
    media,
    activity,
    changed: () => tell('outbox'),
    log,
    now,
  })
  const typing = createTyping({ gateway, now })
  const reactions = createReactions({ gateway, settings, log })
  const pairings = createPairings({
    ...deps,
    store: people,
    outboxStore,
    outbox,
    channels: () => plugins.gateways().map(({ name }) => name),
  })
  const questions = createQuestions({ ...deps, outbox, store: outboxStore, people, settings, gateway })
  const commands = createChatCommands({ ...deps, people, pairings, questions, settings })
  const replies = createReplies({
    ...deps,
    inbox,
    outbox,
    store: outboxStore,
    people,
    questions,
    typing,
    reactions,
    settings,
    limit,
    gateway,
    again: (ask) => asks.again(ask),
  })
  const asks = createAsks({ ...deps, inbox, outbox, outboxStore, media, replies, settings })
  const taking = createTaking({ inbox, asks, commands, outbox, outboxStore, activity, limit, changed, bus })
  const message = createInbound({
    ...deps,
    people,
    pairings,
    commands,
    activity,
    settings,
    inbox,
    media,
    routes: () => routes,
    stored: taking.stored,
  })
  const press = createButtons({
    ...deps,
    store: outboxStore,
    outbox,
    inbox,
    people,
    questions,
    settings,
    stored: taking.stored,
  })
  const view = createViews({
    gateways: () => plugins.gateways(),
    inbox,
    outbox: outboxStore,
    people,
    activity,
    settings,
  })

  plugins.onGatewayEvent(createListener({ message, press, outbox, activity, changed, log, stop: stop.signal }))
  plugins.onGatewayState(({ name, state }) => {
    if (state === 'ready') void resume(name)
    else activity.auth(name, null)
    if (state === 'starting' || state === 'stopped') void switched(name)
    changed(name)
  })
  const unsubscribe = bus.subscribe((event) => {
    if (event.type === 'resource' && event.resource === 'session' && event.id) replies.sessionChanged(event.id)
  })

  /** What fits in one message: as the settings say, else the plugin, else as is known of the platform. */
  function limit(name: string): TextLimit {
    const { text_limit, text_unit } = settings(name)
    const ready = gateway(name)?.ready
    const known = knownLimit(ready?.gateway ?? name)
    return {
      size: text_limit ?? ready?.text_limit ?? known.size,
      unit: text_unit ?? ready?.text_unit ?? (text_limit === undefined ? known.unit : 'utf16'),
    }
  }

  async function resume(channel?: string): Promise<void> {
    try {
      await outbox.resume(channel)
      if (channel !== undefined) reactions.resume(channel)
    } catch (error) {
      log.error('outbox.not_resumed', 'What waits could not be looked up', { error: String(error) })
    }
  }

  async function switched(channel: string): Promise<void> {
    await pairings.switched(channel).catch((error) =>
      log.error('pairing.not_told', 'Who waits to be let in could not be looked up', { error: String(error) })
    )
  }

  async function forget(): Promise<void> {
    const before = now() - KEPT_MS
    await inbox.forget(before)
    await outboxStore.forget(before)
    await people.forgetPairings(before)
    for (const { name } of plugins.gateways()) {
      await files.tidy(name, await inbox.mediaAwaited(name, now() - settings(name).context_hours * HOUR_MS))
    }
  }
  const tidying = every(DAY_MS, () => {
    forget().catch((error) =>
      log.warn('channel.not_tidied', 'Old messages could not be forgotten', { error: String(error) })
    )
  })

  const named = (name: string): Gateway => {
    const found = gateway(name)
    if (!found) throw notFound('channel', name.slice(0, 100))
    return found
  }

  return {
    pairings,
    people: createPeople({
      store: people,
      audit: deps.audit,
      settings,
      isChannel: (name) => gateway(name) !== undefined || settings.isNamed(name),
      changed: (channel) => tell('channel_person', channel),
    }),

    async list(caller: Caller): Promise<Channel[]> {
      demand(caller, 'read')
      const channels = await view()
      // Whoever scans the code first ties the bot to an account of their own.
      return can(caller, 'admin') ? channels : channels.map((channel) => ({ ...channel, auth: null }))
    },

    async get(caller: Caller, name: string): Promise<Channel> {
      const channels = await this.list(caller)
      named(name)
      return channels.find((channel) => channel.name === name)!
    },

    /** A word of the owner's into a chat. */
    async send(caller: Caller, name: string, { chat_id, thread_id, text }: SendToChatInput): Promise<OutboxEntry[]> {
      demand(caller, 'admin')
      named(name)
      const place = { channel: name, chat_type: '', chat_id, thread_id: thread_id ?? '' }
      const entries: OutboxEntry[] = []
      for (const part of splitText(text, limit(name))) {
        const id = await outbox.add({ ...place, kind: 'send', body: { text: part } })
        entries.push(toEntry(await outbox.get(id!)))
      }
      await deps.audit({ caller, action: 'channel.sent', target: name, detail: { chat_id } })
      return entries
    },

    /** Newest first. */
    async outbox(caller: Caller, query: OutboxQuery): Promise<{ entries: OutboxEntry[]; nextCursor: string | null }> {
      demand(caller, 'admin')
      return pageOf(await outboxStore.list(query), query.limit, { entry: toEntry, cursor: ({ id }) => id })
    },

    async sendAgain(caller: Caller, id: string): Promise<OutboxEntry> {
      demand(caller, 'admin')
      const row = await outbox.sendAgain(id)
      await deps.audit({ caller, action: 'outbox.sent_again', target: id, detail: { channel: row.channel } })
      return toEntry(row)
    },

    async discard(caller: Caller, id: string): Promise<OutboxEntry> {
      demand(caller, 'admin')
      const row = await outbox.discard(id)
      await deps.audit({ caller, action: 'outbox.discarded', target: id, detail: { channel: row.channel } })
      return toEntry(row)
    },

    routes(caller: Caller): TaggedRules {
      demand(caller, 'read')
      return withTag(routes)
    },

    /** Puts these rules in the place of all rules. */
    async putRoutes(caller: Caller, next: ChannelRoute[], ifMatch?: string): Promise<TaggedRules> {
      demand(caller, 'admin')
      noContradiction(next, deps.config().name)
      demandMatch(ifMatch, withTag(routes).etag, 'The list of rules')
      await people.putRoutes(next)
      routes = next
      await deps.audit({ caller, action: 'channel_routes.changed', target: 'routes', detail: { rules: next.length } })
      tell('channel')
      return withTag(routes)
    },

    /** What would become of a message, without anything happening. */
    async testRoute(
      caller: Caller,
      { mentions_bot, routes: proposed, ...of }: RouteTest,
    ): Promise<RouteTestResult> {
      demand(caller, 'read')
      const agent = deps.config().name
      noContradiction(proposed ?? [], agent)
      const { thread_id, ...rest } = of
      const place = { ...rest, ...(thread_id ? { thread_id } : {}) }
      const direct = chatKind(place.chat_type) === 'dm'
      const { action, reason } = judge({
        settings: settings(place.channel),
        place,
        person: await people.person(place.channel, place.sender_id),
        group: direct ? undefined : await people.group(place.channel, place.chat_id),
        addressed: mentions_bot,
      })
      const nowhere = { session_id: null, model: null, agent: null }
      if (action === 'drop' || action === 'pair') return { action, reason, rule: null, ...nowhere }
      const to = destinationOf(place, proposed ?? routes)
      if ('drop' in to) return { action: 'drop', reason: 'the rule drops it', rule: to.rule, ...nowhere }
      const model = to.model ?? settings(place.channel).model ?? null
      return { action, reason, rule: to.rule, session_id: to.session_id, model, agent }
    },

    /** Takes up what a stopped server left. Before the plugins start. */
    async start(): Promise<void> {
      await replies.recover()
      for (const ask of await inbox.asks('open')) asks.again(ask)
      for (const row of await inbox.waiting()) taking.take(row)
      await resume()
    },

    async stop(): Promise<void> {
      stop.abort()
      tidying.stop()
      unsubscribe()
      typing.stop()
      reactions.stop()
      await asks.stop()
      await replies.stop()
      await outbox.stop()
      tell.stop()
    },
  }
}

/** Some time after the start, then again and again; keeps no process alive. */
function every(ms: number, work: () => void): { stop(): void } {
  const timers = [setTimeout(work, FIRST_MS), setInterval(work, ms)] as { unref?: () => void }[]
  for (const timer of timers) timer.unref?.()
  return { stop: () => timers.forEach((timer) => clearTimeout(timer as ReturnType<typeof setTimeout>)) }
}

/** Tells pages what changed, at most a few times a second however much happens. */
function createTeller(bus: ChannelDeps['bus']) {
  const waiting = new Map<string, ReturnType<typeof setTimeout>>()
  const tell = (resource: 'channel' | 'channel_person' | 'outbox', id?: string): void => {
    const key = `${resource}:${id ?? ''}`
    if (waiting.has(key)) return
    waiting.set(
      key,
      setTimeout(() => {
        waiting.delete(key)
        bus.publish({
          type: 'resource',
          resource,
          action: 'updated',
          ...(id === undefined ? {} : { id }),
          handle: 'owner',
        })
      }, TELL_MS),
    )
  }
  tell.stop = (): void => {
    for (const timer of waiting.values()) clearTimeout(timer)
  }
  return tell
}
