import { setTimeout as sleep } from 'node:timers/promises'
import type { ChannelApi } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import type { SlackApi } from './api.ts'
import { type Line, openLine, type Take, TURNED_OFF, wordsOf } from './line.ts'

const FIRST_PAUSE_MS = 1000
const MAX_PAUSE_MS = 60_000
/** A connection that ends earlier is as bad as none: the next one waits. */
const STABLE_MS = 10_000

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
  /** Something may have been said that nobody heard, after the last sign of life if there was one. */
  missed: (since: number | undefined) => void
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
      failed: (error) => signal.aborted || log.error(`An event could not be handled: ${(error as Error).message}`),
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
    missed(old.lastNews())
  }

  /** Why the next connection is needed. */
  async function watch(watched: Line): Promise<'ended' | 'quiet'> {
    const ended = Promise.race([
      watched.closed.then(() => 'the connection was closed'),
      watched.leaving.then(wordsOf),
    ])
    for (;;) {
      const left = watched.lastNews() + quietMs - Date.now()
      if (left <= 0) return 'quiet'
      const look = new AbortController()
      const words = await Promise.race([ended, sleep(left, undefined, { signal: look.signal })])
      look.abort()
      if (!words) continue
      if (watched.isOpen() && words !== TURNED_OFF) log.debug(words)
      else down(words)
      return 'ended'
    }
  }

  while (!signal.aborted) {
    const last: Line | undefined = line
    const old = last?.isOpen() ? last : undefined
    const wasQuiet = old !== undefined && Date.now() - old.lastNews() >= quietMs
    const began = Date.now()
    let wait: number | undefined
    try {
      line = await open()
      if (line.connections !== undefined && line.connections > lines) {
        log.warn('Another program is connected with the same app token; Slack tells each thing to one of them only')
      }
      up(line)
      if (old) void retire(old, wasQuiet)
      else missed(last?.lastNews())
      const why = await watch(line)
      if (signal.aborted) return
      if (why === 'quiet' || Date.now() - began >= STABLE_MS) {
        pause = FIRST_PAUSE_MS
        continue
      }
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof PluginError) || error.code === 'unauthorized' || error.code === 'forbidden') throw error
      if (!old?.isOpen()) down(error.message)
      wait = error.retryAfterMs
    }
    // Many that lost Slack at once do not come back at once.
    await sleep(wait ?? pause * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
    pause = Math.min(pause * 2, MAX_PAUSE_MS)
  }
}
