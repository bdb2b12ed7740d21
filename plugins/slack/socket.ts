import { setTimeout as sleep } from 'node:timers/promises'
import type { ChannelApi } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import type { SlackApi } from './api.ts'
import { type Line, openLine, type Take, wordsOf } from './line.ts'

const FIRST_PAUSE_MS = 1000
const MAX_PAUSE_MS = 60_000

/**
 * Keeps a connection open until the plugin stops: the next one is there before Slack closes the last, so that nothing
 * falls between the two. Rejects when the app token is refused.
 *
 * The WebSocket of the runtimes shows no pings. Hence a connection without any news for `quietMs` is replaced by a new
 * one, and whether the old one answers its farewell tells whether something was missed.
 */
export async function keepConnected({ channel, app, quietMs, take, before, up, down, missed }: {
  channel: Pick<ChannelApi, 'log' | 'signal'>
  /** With the app token. */
  app: SlackApi
  quietMs: number
  take: Take
  /** Runs before each connection; what it throws is tried again. */
  before: () => Promise<void>
  up: (line: Line) => void
  down: (detail: string) => void
  /** Something may have been said while nobody listened. */
  missed: () => void
}): Promise<void> {
  const { log, signal } = channel
  let line: Line | undefined
  let pause = FIRST_PAUSE_MS
  let lines = 0

  async function open(): Promise<Line> {
    await before()
    const { url } = await app.call<{ url: string }>('apps.connections.open')
    if (!app.isSlacks(url)) throw new PluginError('not_connected', 'Slack named an address that is not its own')
    const next = await openLine(url, {
      take,
      failed: (error) => log.error(`An event could not be handled: ${(error as Error).message}`),
      signal,
    })
    lines++
    void next.closed.then(() => lines--)
    return next
  }

  async function retire(old: Line, wasQuiet: boolean): Promise<void> {
    const alive = await old.close()
    if (alive || !wasQuiet || signal.aborted) return
    log.warn('The connection to Slack was dead without a sign of it')
    missed()
  }

  /** Why the next connection is needed. */
  async function watch(watched: Line): Promise<'closed' | 'leaving' | 'quiet'> {
    const ended = Promise.race([
      watched.closed.then(() => 'closed' as const),
      watched.leaving.then((reason) => {
        log.debug(wordsOf(reason))
        return 'leaving' as const
      }),
    ])
    for (;;) {
      const left = watched.lastNews() + quietMs - Date.now()
      if (left <= 0) return 'quiet'
      const look = new AbortController()
      const news = await Promise.race([ended, sleep(left, undefined, { signal: look.signal })])
      look.abort()
      if (news) return news
    }
  }

  while (!signal.aborted) {
    const old = line?.isOpen() ? line : undefined
    const wasQuiet = old !== undefined && Date.now() - old.lastNews() >= quietMs
    try {
      line = await open()
      pause = FIRST_PAUSE_MS
      if (line.connections !== undefined && line.connections > lines) {
        log.warn('Another program is connected with the same app token; Slack tells each thing to one of them only')
      }
      up(line)
      if (old) void retire(old, wasQuiet)
      else missed()
      if (await watch(line) === 'closed' && !signal.aborted) down('the connection was closed')
    } catch (error) {
      if (signal.aborted) return
      const refused = error instanceof PluginError && (error.code === 'unauthorized' || error.code === 'forbidden')
      if (refused || !(error instanceof PluginError)) throw error
      if (!old?.isOpen()) down(error.message)
      // Many that lost Slack at once do not come back at once.
      const wait = error.retryAfterMs ?? pause * (0.5 + Math.random())
      await sleep(wait, undefined, { signal }).catch(() => {})
      pause = Math.min(pause * 2, MAX_PAUSE_MS)
    }
  }
}
