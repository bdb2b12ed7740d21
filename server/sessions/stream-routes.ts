import { Hono } from 'hono'
import * as v from 'valibot'
import type { Caller } from '../auth/principal.ts'
import { can } from '../auth/principal.ts'
import type { Bus, ResourceEvent } from '../bus/bus.ts'
import { invalid } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import { encodeFrame, sseResponse } from '../http/sse.ts'
import { streamSignal } from '../http/stream-signal.ts'
import type { Entry } from './entries.ts'
import { frameOf, joinFrames } from './frames.ts'
import { Offset, resumeFrom } from './route-input.ts'
import type { Sessions } from './service.ts'
import type { Plugins } from '../plugins/service.ts'
import type { System } from '../system/service.ts'

/** Resource events and news of plugins that wait for a slow reader; past this it is told to load everything again. */
const MAX_WAITING = 256

type Deps = {
  sessions: Sessions
  system: Pick<System, 'subscribe'>
  plugins: Pick<Plugins, 'follow'>
  bus: Bus
  /** Told with 1 when a stream begins and with -1 when it ends. */
  watching: (change: 1 | -1) => void
}

/** One multiplexed stream for a page: turns, changed resources, the system snapshot, one plugin (contract.md). */
export const streamRoutes = (deps: Deps) =>
  new Hono<AppEnv>().get(
    '/api/stream',
    operation({
      id: 'follow',
      summary: 'Everything that happens, in one stream',
      description:
        'Topics, separated by commas: `sessions` (turn events of all sessions), `session:<id>`, `resources`, `system`, ' +
        '`plugin:<name>`. Without the scope read, `resources` tells of conversations only; `system` needs admin. ' +
        'Frames: `event: turn` (with `id`), `event: resource`, `event: system`, `event: plugin`, `event: reset`.',
      scope: 'converse',
      query: v.object({
        topics: v.optional(v.pipe(v.string(), v.maxLength(4000)), 'sessions,resources'),
        after: Offset,
      }),
      media: 'text/event-stream',
      returns: 'TurnEvent, ResourceEvent, SystemSnapshot or PluginNews by event name',
      errors: ['invalid_input'],
    }),
    (c) => {
      const { topics, after } = c.req.valid('query')
      const signal = streamSignal(c, deps.bus)
      const frames = follow(deps, c.var.caller, parseTopics(topics), resumeFrom(c, after), signal)
      return sseResponse(frames, { signal })
    },
  )

type Topics = { all: boolean; ids: Set<string>; resources: boolean; system: boolean; plugins: Set<string> }

function parseTopics(text: string): Topics {
  const topics: Topics = { all: false, ids: new Set(), resources: false, system: false, plugins: new Set() }
  for (const topic of text.split(',').map((part) => part.trim()).filter(Boolean)) {
    if (topic === 'sessions') topics.all = true
    else if (topic === 'resources') topics.resources = true
    else if (topic === 'system') topics.system = true
    else if (topic.startsWith('session:')) topics.ids.add(topic.slice('session:'.length))
    else if (topic.startsWith('plugin:')) topics.plugins.add(topic.slice('plugin:'.length))
    else throw invalid('topics', `"${topic}" is none of sessions, session:<id>, resources, system, plugin:<name>`)
  }
  return topics
}

async function* follow(
  { sessions, system, plugins, bus, watching }: Deps,
  caller: Caller,
  topics: Topics,
  after: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = []
  let snapshot: Uint8Array | undefined
  let wake: () => void = () => {}
  const push = (frame: Uint8Array): void => {
    if (waiting.length >= MAX_WAITING) waiting = [reset('too_slow', sessions.head())]
    else waiting.push(frame)
    wake()
  }
  const unsubscribe = bus.subscribe((event) => {
    if (!topics.resources || event.type !== 'resource') return
    // What is everybody's is named by its path or section: nothing for a key that may only talk.
    if (event.handle === undefined ? can(caller, 'read') : event.handle === caller.handle) push(resourceFrame(event))
  })
  const unfollow = [...topics.plugins].map((name) =>
    plugins.follow(caller, name, (news) => push(encodeFrame({ event: 'plugin', data: JSON.stringify(news) })))
  )
  const unsubscribeSystem = topics.system && can(caller, 'admin')
    ? system.subscribe((value) => {
      snapshot = encodeFrame({ event: 'system', data: JSON.stringify(value) })
      wake()
    })
    : undefined
  watching(1)
  try {
    const lost = after !== undefined && sessions.isLost(after)
    const from = lost || after === undefined ? sessions.head() : after
    // The id lets a browser that loses its first connection resume from here.
    yield lost
      ? reset('offset_lost', from)
      : encodeFrame({ id: String(from), event: 'hello', data: JSON.stringify({ v: 1, offset: from }) })
    const turns = topics.all || topics.ids.size > 0
      ? sessions.followAll(caller, from, signal, topics.all ? undefined : topics.ids)
      : undefined
    // One reaction per batch: racing a promise that stays pending would hold every loser.
    let arrived: IteratorResult<Entry[]> | undefined
    const pull = (): void =>
      void turns?.next().then((result) => {
        arrived = result
        wake()
      })
    signal.addEventListener('abort', () => wake(), { once: true })
    pull()
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (wake = resolve))
      if (waiting.length > 0) {
        const frames = waiting
        waiting = []
        yield joinFrames(frames)
      } else if (snapshot) {
        const frame = snapshot
        snapshot = undefined
        yield frame
      } else if (arrived) {
        if (arrived.done) return
        const batch = arrived.value
        arrived = undefined
        yield joinFrames(batch.map((entry) => frameOf(entry, 'turn')))
        pull()
      } else await woken
    }
  } finally {
    watching(-1)
    unsubscribe()
    unfollow.forEach((leave) => leave())
    unsubscribeSystem?.()
  }
}

/** Frames of resource events, made once however many streams carry them. */
const resourceFrames = new WeakMap<ResourceEvent, Uint8Array>()

function resourceFrame(event: ResourceEvent): Uint8Array {
  const known = resourceFrames.get(event)
  if (known) return known
  const { resource, action, id } = event
  const frame = encodeFrame({ event: 'resource', data: JSON.stringify({ v: 1, resource, action, id }) })
  resourceFrames.set(event, frame)
  return frame
}

const reset = (reason: string, offset: number): Uint8Array =>
  encodeFrame({ id: String(offset), event: 'reset', data: JSON.stringify({ v: 1, reason }) })
