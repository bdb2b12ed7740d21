import { ulid } from 'ulid'
import type { ChannelSettings } from '../../shared/channels.ts'
import type { AttachmentInput } from '../../shared/sessions.ts'
import { AppError } from '../errors.ts'
import { askText } from './ask-text.ts'
import { createChains, pause } from './chains.ts'
import { channelCaller, type ChannelDeps } from './deps.ts'
import type { AskRow, InboxRow, InboxStore } from './inbox-store.ts'
import type { Outbox } from './outbox.ts'
import type { OutboxStore } from './outbox-store.ts'
import type { Replies } from './replies.ts'
import { createVoiceNotes, type Hearing } from './voice-notes.ts'

const HOUR_MS = 3600_000
/** A burst that never pauses is taken up after so many windows. */
const WINDOWS = 4
const RETRY_MS = 2000
const FULL_MS = 200
/** What only asks for patience; anything else is said in the chat. */
const LATER = new Set(['rate_limited', 'unavailable', 'conflict', 'internal', 'timeout'])

export type Asks = ReturnType<typeof createAsks>

type Burst = { row: InboxRow; since: number; timer: ReturnType<typeof setTimeout> }

/** Makes questions of messages: those that one person writes within a moment are one. */
export function createAsks(
  deps: Pick<ChannelDeps, 'sessions' | 'transcribe' | 'bus' | 'log' | 'now'> & {
    inbox: InboxStore
    outboxStore: OutboxStore
    outbox: Outbox
    media: {
      incoming(row: InboxRow, hear: Hearing): Promise<Pick<InboxRow, 'text' | 'attachment'>>
      forget(channel: string, url: string | undefined): Promise<void>
    }
    replies: Replies
    settings: (name: string) => ChannelSettings
  },
) {
  const { inbox, outbox, replies, settings, sessions, log, now } = deps
  const chains = createChains()
  const bursts = new Map<string, Burst>()
  const stop = new AbortController()
  const voiceNotes = createVoiceNotes(deps)

  const keyOf = (row: InboxRow): string =>
    JSON.stringify([row.channel, row.chat_id, row.thread_id, row.sender_id, row.session_id])

  /** A stored message that is to be answered. */
  function arrived(row: InboxRow): void {
    if (stop.signal.aborted) return
    const window = settings(row.channel).burst_ms
    replies.waiting(row)
    if (window === 0) return void chains.run(row.session_id, () => work(row))
    const key = keyOf(row)
    const burst = bursts.get(key)
    clearTimeout(burst?.timer)
    const since = burst?.since ?? now()
    const wait = Math.max(0, Math.min(window, since + window * WINDOWS - now()))
    bursts.set(key, { row, since, timer: setTimeout(() => flush(key), wait) })
  }

  function flush(key: string): void {
    const burst = bursts.get(key)
    if (!burst) return
    clearTimeout(burst.timer)
    bursts.delete(key)
    const { row } = burst
    void chains.run(row.session_id, () => work(row))
  }

  /** Once the question is made, it is the question that is tried again: its messages wait no more. */
  async function work(row: InboxRow): Promise<void> {
    const ask = await guarded(() => take(row))
    if (ask) await guarded(() => submit(ask))
  }

  async function take(row: InboxRow): Promise<AskRow | undefined> {
    const { context_messages, context_hours, burst_ms } = settings(row.channel)
    return await inbox.take(row, { id: ulid(), at: now() }, {
      joined: burst_ms > 0,
      messages: context_messages,
      since: now() - context_hours * HOUR_MS,
    })
  }

  /** Puts a question into its session. Whatever it is that fails for a while is waited for: what came later comes after. */
  async function submit(ask: AskRow): Promise<void> {
    for (;;) {
      try {
        const sent = await send(ask)
        await inbox.asked(ask.id, sent)
        await replies.track(sent)
        return
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        if (!LATER.has(error.code)) return await refuse(ask, error)
        // A full queue has room again as soon as one of its turns ends.
        await pause(error.code === 'rate_limited' ? FULL_MS : RETRY_MS, stop.signal)
        if (stop.signal.aborted) return
      }
    }
  }

  async function send(ask: AskRow): Promise<string> {
    const caller = channelCaller(ask.channel, { id: ask.sender_id, name: ask.sender_name })
    const hear = voiceNotes.begin(async (call) => {
      await sessions.create(caller, { session_id: ask.session_id })
      await sessions.noteCall(caller, ask.session_id, { ...call, source: `channel:${ask.channel}` })
    })
    const rows = await withFiles(await inbox.messagesOf(ask.id), hear)
    const attachments = rows.flatMap((row) => row.state === 'turn' && row.attachment ? [row.attachment] : [])
      .slice(0, 32).map(({ size: _, ...file }): AttachmentInput => file)
    const text = askText(ask, rows, await quotesOf(rows))
    const { model: fixed, queue_policy } = settings(ask.channel)
    if (ask.route?.instructions !== undefined) {
      await sessions.create(caller, { session_id: ask.session_id })
      await sessions.instruct(caller, ask.session_id, ask.route.instructions)
    }
    const wanted = ask.route?.model ?? fixed
    // What somebody chose with /model goes before what the rule or the channel wants.
    const chosen = wanted !== undefined && (await sessions.get(caller, ask.session_id).catch(ignoreUnknown))?.model
    const model = chosen ? undefined : wanted
    const { turn } = await sessions.send(
      caller,
      ask.session_id,
      {
        text,
        ...(attachments.length > 0 ? { attachments } : {}),
        ...(model === undefined ? {} : { model }),
        author: { kind: 'human', handle: caller.id.slice(0, 200), display: ask.sender_name.slice(0, 200) },
      },
      {
        idempotencyKey: `channel:${ask.id}:${ask.attempt}`,
        ...(queue_policy === undefined ? {} : { policy: queue_policy }),
      },
    )
    return turn.turn_id
  }

  /** Files are fetched, and voice notes heard, once and kept, so that a second try says exactly the same. */
  async function withFiles(rows: InboxRow[], hear: Hearing): Promise<InboxRow[]> {
    const out: InboxRow[] = []
    for (const row of rows) {
      if (!row.media) {
        out.push(row)
        continue
      }
      const got = await deps.media.incoming(row, hear)
      await inbox.keepMedia(row.id, got)
      await deps.media.forget(row.channel, row.media.url)
      out.push({ ...row, ...got, media: null })
    }
    return out
  }

  async function quotesOf(rows: readonly InboxRow[]): Promise<Map<number, string>> {
    const quotes = new Map<number, string>()
    for (const { id, channel, chat_id, reply_to } of rows) {
      if (reply_to === null) continue
      const ours = await deps.outboxStore.byMessage(channel, chat_id, reply_to)
      const text = ours?.body.text ?? await inbox.textOf(channel, chat_id, reply_to)
      if (text) quotes.set(id, text)
    }
    return quotes
  }

  async function refuse(ask: AskRow, error: AppError): Promise<void> {
    log.warn('channel.not_taken', 'A message could not be put into its session', {
      channel: ask.channel,
      session_id: ask.session_id,
      error: error.message,
    })
    await outbox.add({
      ...ask,
      kind: 'send',
      key: `refused:${ask.id}`,
      body: { text: `I can't take this: ${error.message}`, reply_to: ask.reply_to },
    })
    await inbox.drop(ask.id)
    replies.givenUp(ask)
  }

  async function guarded<T>(work: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (stop.signal.aborted) return undefined
        log.error('channel.ask_failed', 'A message could not be worked on; trying again', {
          error: (error as Error).stack ?? String(error),
        })
        await pause(RETRY_MS, stop.signal)
        if (stop.signal.aborted) return undefined
      }
    }
  }

  return {
    arrived,

    /** Work that comes after what was said in a session so far, and before what is said next. */
    async afterwards(sessionId: string, work: () => Promise<void>): Promise<void> {
      for (const [key, { row }] of bursts) if (row.session_id === sessionId) flush(key)
      await chains.run(sessionId, () => guarded(work))
    },

    /** Work that waits for nothing. */
    atOnce: (work: () => Promise<void>): void => void guarded(work),

    /** A question that has to be put again, or was never put. */
    again: (ask: AskRow): void => void chains.run(ask.session_id, () => guarded(() => submit(ask))),

    async stop(): Promise<void> {
      stop.abort()
      for (const { timer } of bursts.values()) clearTimeout(timer)
      let timer: ReturnType<typeof setTimeout> | undefined
      await Promise.race([chains.idle(), new Promise((resolve) => timer = setTimeout(resolve, 2000))])
      clearTimeout(timer)
    },
  }
}

function ignoreUnknown(error: unknown): undefined {
  if (!(error instanceof AppError) || error.code !== 'not_found') throw error
}
