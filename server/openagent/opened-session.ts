import { Buffer } from 'node:buffer'
import type { ClientFrameOf } from '../../shared/openagent.ts'
import type { AttachmentInput, SendMessageInput } from '../../shared/sessions.ts'
import type { Author, TurnInput } from '../../shared/turn-events.ts'
import type { Caller } from '../auth/principal.ts'
import { invalid } from '../errors.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Log } from '../system/log.ts'
import type { Uploads } from '../uploads/service.ts'
import { ignoreUnknown } from './commands.ts'
import type { Outbox } from './outbox.ts'
import { createReader, type Reader } from './reader.ts'
import { IDLE, liveTurns } from './translate.ts'

export type OpenedSession = ReturnType<typeof createOpenedSession>

export type OpenedSessionDeps = {
  sessions: Sessions
  uploads: Pick<Uploads, 'attach' | 'save'>
  log: Log
  caller: Caller
  id: string
  /** How the client calls itself; kept on a session that it creates. */
  clientId: () => string
  out: Outbox
}

/** What a text comes with. */
type Said = {
  source: TurnInput['source']
  attachments?: AttachmentInput[] | null | undefined
  author?: Author | null | undefined
}

const MAX_ATTACHMENTS = 32
/** Characters of base64. */
const MAX_PICTURE = 4 * 1024 * 1024
const MAX_SYSTEM_PROMPT = 32_768
/** How OpenAgent's app marks the system prompt of a session, which its wire has no field for. */
const SYSTEM_MARK = /^\[system\]\s*/

/** One session as one socket sees it: what it reads from it, and what waits to go with its next text. */
export function createOpenedSession(deps: OpenedSessionDeps) {
  const { sessions, uploads, caller, id, out } = deps
  const own = new Map<string, string>()
  /** The text that is being handed to the session; what `own` says is complete once it is there. */
  let sending: Promise<void> = Promise.resolve()
  let reader: Reader | undefined
  let coalesceMs = 0
  let attachments: AttachmentInput[] = []
  // The protocol speaks of a ring of eight; only the newest frame of each stream is ever used, so only it is kept.
  let snapshots = new Map<'webcam' | 'screen', Uint8Array>()

  function follow(from: number, view = IDLE, temporary = false): void {
    reader?.stop()
    const mine: Reader = createReader({
      ...deps,
      session_id: id,
      from,
      view,
      temporary,
      own,
      // Only what is being handed over, not what waits behind it: a command there may itself wait for this reader.
      settled: () => sending.catch(() => {}),
      ended: () => {
        if (reader === mine) reader = undefined
      },
    })
    reader = mine
  }

  /** Shows what is under way and follows from exactly there. */
  async function show(temporary: boolean): Promise<void> {
    const { open, offset } = await sessions.messages(caller, id, { limit: 1 })
    const live = liveTurns(open)
    if (!live) {
      // A reader that is there already has not missed anything; only what is shown anew is read anew.
      if (!temporary && !reader?.keep()) follow(offset)
      return
    }
    follow(offset, live.view, temporary)
    const { frames, started_at, updated_at } = live
    out.send({ type: 'live_state', session_id: id, active: true, frames, started_at, updated_at, offset })
  }

  /** Makes the session if it is new, with the model that the client wants. */
  async function ensure(pin?: string): Promise<void> {
    const known = await sessions.get(caller, id).catch(ignoreUnknown)
    if (!known) await sessions.create(caller, { session_id: id, ...(pin ? { model: pin } : {}) }, deps.clientId())
    else if (pin && known.model !== pin) await sessions.update(caller, id, { model: pin })
  }

  return {
    async open(frame: ClientFrameOf<'session_open'>): Promise<void> {
      coalesceMs = frame.coalesce_window_ms ?? 0
      await ensure(frame.llm_pin || undefined)
      if (typeof frame.after === 'number' && !sessions.isLost(frame.after)) {
        follow(frame.after, await viewAt(frame.after))
      } else await show(false)
    },

    /** Follows what is under way until it ends, if the client has not opened the session anyway. */
    async glance(): Promise<void> {
      if (!reader) await show(true)
    },

    /** Follows a run from its first event until it ends. */
    watch(from: number): void {
      if (!reader) follow(from, IDLE, true)
    },

    isFollowed: (): boolean => reader !== undefined,

    async say(text: string, said: Said): Promise<void> {
      if (said.source === 'system' && SYSTEM_MARK.test(text)) return instruct(text.replace(SYSTEM_MARK, ''))
      if (!reader?.keep()) {
        await ensure()
        await show(false)
      }
      const given = [...attachments, ...(said.attachments ?? [])]
      attachments = []
      given.push(...await stored(snapshots))
      snapshots = new Map()
      if (given.length > MAX_ATTACHMENTS) throw invalid('attachments', `has more than ${MAX_ATTACHMENTS} entries`)
      const input = { text, attachments: given, ...(said.author ? { author: said.author } : {}) }
      sending = handOver(input, said.source)
      await sending
    },

    /** Keeps a file for the next text. */
    async attach(frame: ClientFrameOf<'attachment'>): Promise<void> {
      if (attachments.length >= MAX_ATTACHMENTS) throw invalid('attachment', `${MAX_ATTACHMENTS} files wait already`)
      const input = {
        path: frame.path,
        ...(frame.kind ? { kind: frame.kind } : {}),
        ...(frame.filename ? { filename: frame.filename } : {}),
      }
      await uploads.attach(caller, input, 'path')
      attachments.push(input)
    },

    snapshot({ stream, data }: ClientFrameOf<'video_frame'>): void {
      if (data.length > MAX_PICTURE) {
        throw invalid('data', `is longer than ${MAX_PICTURE} characters; send a smaller picture`)
      }
      const bytes = new Uint8Array(Buffer.from(data, 'base64'))
      if (bytes[0] !== 0xff || bytes[1] !== 0xd8) throw invalid('data', 'must be a JPEG picture in base64')
      snapshots.set(stream, bytes)
    },

    caughtUp: () => reader?.caughtUp(),

    close(): void {
      reader?.stop()
      reader = undefined
    },
  }

  async function handOver(input: SendMessageInput, source: Said['source']): Promise<void> {
    const { turn } = await sessions.send(caller, id, input, {
      source,
      // Speech and system texts don't wait for others.
      coalesceMs: source === 'user_typed' ? coalesceMs : 0,
      clientId: deps.clientId(),
    })
    const before = own.get(turn.turn_id)
    own.set(turn.turn_id, [before, input.text].filter((part) => part !== undefined && part !== '').join('\n\n'))
    if (turn.position) out.send({ type: 'queued', position: turn.position, session_id: id, turn_id: turn.turn_id })
  }

  async function instruct(prompt: string): Promise<void> {
    if (prompt.length > MAX_SYSTEM_PROMPT) {
      throw invalid('text', `is longer than ${MAX_SYSTEM_PROMPT} characters, too long for a system prompt`)
    }
    await ensure()
    await sessions.instruct(caller, id, prompt.trim() === '' ? null : prompt)
  }

  /** What a client had been shown when it saw this offset. */
  async function viewAt(after: number) {
    const { open } = await sessions.messages(caller, id, { limit: 1 })
    return liveTurns(open.filter((event) => event.offset <= after))?.view
  }

  async function stored(pictures: Map<string, Uint8Array>): Promise<AttachmentInput[]> {
    const out: AttachmentInput[] = []
    for (const [stream, bytes] of pictures) {
      const filename = `${stream}-snapshot.jpg`
      const { path } = await uploads.save(caller, { name: filename, bytes })
      out.push({ type: 'image', path, filename })
    }
    return out
  }
}
