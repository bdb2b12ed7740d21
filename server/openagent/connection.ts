import * as v from 'valibot'
import { CLIENT_FRAMES, type ClientFrame, type ClientFrameOf, type ServerFrame } from '../../shared/openagent.ts'
import type { Approvals } from '../approvals/service.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError } from '../errors.ts'
import { parseJson } from '../http/operation.ts'
import { messageOf } from '../http/refusal-words.ts'
import type { Socket } from '../runtime/port.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Log } from '../system/log.ts'
import type { Uploads } from '../uploads/service.ts'
import { type Commands, ignoreUnknown } from './commands.ts'
import { createOpenedSession, type OpenedSession } from './opened-session.ts'
import type { Outbox } from './outbox.ts'

export type Connection = ReturnType<typeof createConnection>

export type ConnectionDeps = {
  sessions: Sessions
  commands: Commands
  approvals: Pick<Approvals, 'decide'>
  uploads: Pick<Uploads, 'attach' | 'save'>
  log: Log
}

/** Frames of one client that may wait for their turn; more is a flood. */
const MAX_WAITING = 512
/** Sessions that one client may follow at the same time. */
const MAX_SESSIONS = 500
/** Turns that a client is shown when it connects. */
const MAX_LIVE = 16

const NO_SPEECH = 'No speech service is connected, so this server cannot hear or speak. Please type.'
const NO_TERMINALS = 'This server offers no terminals.'

/** One client: takes its frames in order, each session's apart from the others', so that none holds up another. */
export function createConnection(deps: ConnectionDeps, caller: Caller, socket: Socket, out: Outbox) {
  const { sessions, commands } = deps
  const opened = new Map<string, OpenedSession>()
  /** The end of what was received for each session, until it is done. */
  const tails = new Map<string, Promise<void>>()
  /** Sessions whose client was told that nobody hears it; once per utterance is enough. */
  const deaf = new Set<string>()
  let waiting = 0
  let clientId = caller.id
  let closed = false

  function inOrder(id: string, work: () => unknown): void {
    waiting++
    const mine: Promise<void> = (tails.get(id) ?? Promise.resolve()).then(work).then(
      () => {},
      (error: unknown) => refuse(error, id),
    ).finally(() => {
      waiting--
      if (tails.get(id) === mine) tails.delete(id)
    })
    tails.set(id, mine)
  }

  function refuse(error: unknown, id?: string): void {
    const known = error instanceof AppError
    if (!known) deps.log.error('socket.frame_failed', 'A frame could not be handled', { error: String(error) })
    out.send({
      type: 'error',
      text: known ? error.message : 'Something went wrong in the server; its log has the details.',
      ...(known ? { code: error.code } : {}),
      ...(id === undefined ? {} : { session_id: id }),
    })
  }

  function session(id: string): OpenedSession {
    let one = opened.get(id)
    if (one) return one
    if (opened.size >= MAX_SESSIONS) {
      throw new AppError('rate_limited', `This connection has ${MAX_SESSIONS} sessions open; close some first`)
    }
    one = createOpenedSession({ ...deps, caller, id, clientId: () => clientId, out })
    opened.set(id, one)
    return one
  }

  const toSession = (id: string, work: (session: OpenedSession) => unknown): void =>
    inOrder(id, () => {
      const one = session(id)
      // Text that was received is kept even if the client is gone by now; what it would read is not.
      return Promise.resolve(work(one)).finally(() => closed ? one.close() : undefined)
    })

  async function runCommand({ name, session_id, arg }: ClientFrameOf<'command'>): Promise<void> {
    const ids = session_id ? [session_id] : [...opened.keys()]
    const result = await answer()
    if (session_id) await opened.get(session_id)?.caughtUp()
    if (name === 'compact' && result.context) {
      out.send({ type: 'context_report', session_id: result.context.session_id, report: result.context })
    }
    out.send({ type: 'command_result', ...(session_id ? { session_id } : {}), ...result })

    async function answer() {
      if (!commands.knows(name)) return { text: `Unknown command: ${name}` }
      try {
        return await commands.run(name, { caller, sessions: ids, arg: arg?.trim() ?? '' })
      } catch (error) {
        if (error instanceof AppError) return { text: error.message }
        throw error
      }
    }
  }

  function unheard(id: string, end: boolean): void {
    if (!deaf.has(id)) out.send({ type: 'error', text: NO_SPEECH, session_id: id, code: 'unavailable' })
    if (end) deaf.delete(id)
    else if (deaf.size < MAX_SESSIONS) deaf.add(id)
  }

  const noTerminal = ({ terminal_id }: { terminal_id: string }): void =>
    out.send({ type: 'terminal_error', terminal_id, error: NO_TERMINALS })

  const say = (
    frame:
      & Pick<ClientFrameOf<'text_final'>, 'session_id' | 'text'>
      & Pick<Partial<ClientFrameOf<'text_final'>>, 'attachments' | 'author'>,
    source: 'user_typed' | 'stt' | 'system',
  ): void =>
    toSession(
      frame.session_id,
      (one) => one.say(frame.text, { source, attachments: frame.attachments, author: frame.author }),
    )

  const handlers: { [T in ClientFrame['type']]: (frame: ClientFrameOf<T>) => void } = {
    // Whoever is connected was let in before the handshake; old clients still introduce themselves.
    auth: (frame) => void (clientId = frame.client_id || clientId),
    ping: () => out.send({ type: 'pong' }),
    command: (frame) => {
      const id = frame.session_id ?? ''
      // Folding takes a model call; what is typed meanwhile must not wait for it.
      if (frame.name === 'compact') inOrder(id, () => void runCommand(frame).catch((error) => refuse(error, id)))
      else inOrder(id, () => runCommand(frame))
    },
    session_open: (frame) => toSession(frame.session_id, (one) => one.open(frame)),
    session_close: ({ session_id }) => inOrder(session_id, () => forget(session_id)),
    text_final: (frame) => say(frame, frame.source),
    text_delta: (frame) => frame.final ? say(frame, 'user_typed') : undefined,
    message: (frame) => say(frame, frame.input_was_voice ? 'stt' : 'user_typed'),
    attachment: (frame) => toSession(frame.session_id, (one) => one.attach(frame)),
    interrupt: ({ session_id }) =>
      inOrder(session_id, () => sessions.interrupt(caller, session_id).catch(ignoreUnknown)),
    video_frame: (frame) => toSession(frame.session_id, (one) => one.snapshot(frame)),
    audio_chunk_in: (frame) => unheard(frame.session_id, frame.end_of_speech === true || frame.is_end === true),
    audio_end_in: (frame) => unheard(frame.session_id, true),
    approval: ({ approval_id, decision }) =>
      inOrder('', () => deps.approvals.decide(caller, approval_id, decision, { via: 'ws' })),
    terminal_open: noTerminal,
    terminal_input: noTerminal,
    terminal_resize: noTerminal,
    terminal_signal: noTerminal,
    terminal_close: noTerminal,
  }

  function forget(id: string): void {
    opened.get(id)?.close()
    opened.delete(id)
    deaf.delete(id)
  }

  return {
    /** Greets the client and shows it what is under way. */
    async begin(hello: Extract<ServerFrame, { type: 'auth_ok' }>): Promise<void> {
      out.send(hello)
      for (const id of await sessions.live(caller, MAX_LIVE)) toSession(id, (one) => one.glance())
    },

    receive(data: string | Uint8Array): void {
      if (closed) return
      if (typeof data !== 'string') return socket.close(1003, 'Only text frames are understood')
      if (waiting >= MAX_WAITING) return socket.close(1008, 'Too many frames at once; wait for answers')
      const parsed = parseFrame(data)
      if ('refusal' in parsed) return out.send(parsed.refusal)
      const handle = handlers[parsed.frame.type] as (frame: ClientFrame) => void
      handle(parsed.frame)
    },

    /** Shows a run that somebody else began, until it ends. */
    watch(id: string, from: number): void {
      if (!opened.get(id)?.isFollowed()) toSession(id, (one) => one.watch(from))
    },

    /** The session is gone; its id may be used anew. */
    forget: (id: string): void => opened.has(id) ? inOrder(id, () => forget(id)) : undefined,

    /** What was received before is still carried out. */
    close(): void {
      closed = true
      out.close()
      for (const one of opened.values()) one.close()
      opened.clear()
    },
  }
}

/** A client's frame, or the frame that tells it what is wrong. */
export function parseFrame(data: string): { frame: ClientFrame } | { refusal: ServerFrame } {
  let value: unknown
  try {
    value = parseJson(data)
  } catch {
    return refusal('Invalid JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refusal('A frame must be a JSON object with a type')
  }
  const { type, session_id } = value as Record<string, unknown>
  if (typeof type !== 'string') return refusal('type: is missing; a frame says in it what it is')
  if (type.startsWith('ui_')) return { refusal: noViews(value as Record<string, unknown>) }
  const schema = CLIENT_FRAMES.get(type)
  if (!schema) return refusal(`Unknown frame type: ${type.slice(0, 64)}`)
  const result = v.safeParse(schema, value, { abortPipeEarly: true })
  if (result.success) return { frame: result.output }
  const issue = result.issues[0]
  const text = `${v.getDotPath(issue) ?? type}: ${messageOf(issue)}`
  return refusal(text, typeof session_id === 'string' ? session_id.slice(0, 200) : undefined)
}

const refusal = (text: string, session_id?: string): { refusal: ServerFrame } => ({
  refusal: { type: 'error', text, code: 'invalid_input', ...(session_id === undefined ? {} : { session_id }) },
})

const text = (value: unknown): string | null => typeof value === 'string' ? value.slice(0, 200) : null

const noViews = ({ viewId, subscriptionId }: Record<string, unknown>): ServerFrame => ({
  type: 'ui_error',
  code: 'unsupported',
  message: 'This server offers no custom views.',
  viewId: text(viewId),
  subscriptionId: text(subscriptionId),
})
