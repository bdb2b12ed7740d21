import * as v from 'valibot'
import { AttachmentInput, AuthorInput, type SessionContext, SessionId, type ToolInfo, TurnText } from './sessions.ts'
import type { Attachment, Author, ToolProgress } from './turn-events.ts'

/**
 * The frames of `/ws` (spec openagent-api §1). Clients of several generations speak it, so what they may leave out
 * they may also send as null, and fields that nobody here needs are not looked at.
 */
const Session = v.nullish(SessionId, 'default')
const Word = v.nullish(v.pipe(v.string('must be text'), v.maxLength(300, 'is too long')))
const Flag = v.nullish(v.boolean('must be true or false'))
const Size = v.nullish(v.number('must be a number'))
const Base64 = v.pipe(
  v.string('must be base64 text'),
  v.minLength(1, 'is empty'),
  v.regex(/^[A-Za-z0-9+/_-]+={0,2}$/, 'must be base64'),
)
const Text = v.pipe(v.string('must be text'), TurnText)
const Attachments = v.nullish(
  v.pipe(v.array(AttachmentInput, 'must be a list'), v.maxLength(32, 'has more than 32 entries')),
)
const Source = v.nullish(
  v.picklist(['user_typed', 'stt', 'system'], 'must be user_typed, stt or system'),
  'user_typed',
)
const Terminal = { terminal_id: v.nullish(v.pipe(v.string('must be text'), v.maxLength(200, 'is too long')), '') }

const frame = <T extends string, E extends v.ObjectEntries>(type: T, entries: E) =>
  v.object({ type: v.literal(type), ...entries })

const frames = [
  frame('auth', { client_id: Word }),
  frame('ping', {}),
  frame('command', {
    name: v.pipe(v.string('must be text'), v.minLength(1, 'is empty'), v.maxLength(64, 'is too long')),
    session_id: v.nullish(SessionId),
    arg: v.nullish(v.pipe(v.string('must be text'), v.maxLength(2000, 'is too long'))),
  }),
  frame('session_open', {
    session_id: Session,
    profile: Word,
    llm_pin: Word,
    client_kind: Word,
    client_instance_id: Word,
    coalesce_window_ms: v.nullish(
      v.pipe(
        v.number('must be a number of milliseconds'),
        v.minValue(0, 'must not be negative'),
        v.maxValue(60_000, 'must be at most 60000'),
      ),
    ),
    speak: Flag,
    /** Ours: the `offset` of the last frame that was seen; events after it follow, without loss or repetition. */
    after: v.nullish(
      v.pipe(v.number('must be an offset'), v.integer('must be a whole number'), v.minValue(0, 'must not be negative')),
    ),
  }),
  frame('session_close', { session_id: Session }),
  frame('text_final', {
    session_id: Session,
    text: Text,
    source: Source,
    attachments: Attachments,
    author: v.nullish(AuthorInput),
  }),
  frame('text_delta', { session_id: Session, text: Text, final: Flag }),
  frame('message', {
    session_id: Session,
    text: Text,
    attachments: Attachments,
    author: v.nullish(AuthorInput),
    input_was_voice: Flag,
  }),
  frame('attachment', {
    session_id: Session,
    kind: v.nullish(v.picklist(['image', 'file', 'voice', 'video'], 'must be image, file, voice or video')),
    path: v.pipe(v.string('is missing: the path that POST /api/upload answered'), v.maxLength(4096, 'is too long')),
    filename: v.nullish(v.pipe(v.string('must be text'), v.maxLength(255, 'is too long'))),
    mime_type: Word,
  }),
  frame('interrupt', { session_id: Session, reason: Word }),
  frame('video_frame', {
    session_id: Session,
    stream: v.picklist(['webcam', 'screen'], 'must be webcam or screen'),
    data: Base64,
    width: Size,
    height: Size,
  }),
  frame('audio_chunk_in', { session_id: Session, end_of_speech: Flag, is_end: Flag }),
  frame('audio_end_in', { session_id: Session }),
  frame('approval', {
    approval_id: v.pipe(v.string('must be text'), v.maxLength(64, 'is too long')),
    decision: v.picklist(
      ['allow_once', 'allow_session', 'allow_always', 'deny'],
      'must be allow_once, allow_session, allow_always or deny',
    ),
  }),
  frame('terminal_open', Terminal),
  frame('terminal_input', Terminal),
  frame('terminal_resize', Terminal),
  frame('terminal_signal', Terminal),
  frame('terminal_close', Terminal),
] as const

/** What a client may send. */
export type ClientFrame = v.InferOutput<(typeof frames)[number]>
export type ClientFrameOf<T extends ClientFrame['type']> = Extract<ClientFrame, { type: T }>

/** The schema of each frame by its `type`. */
export const CLIENT_FRAMES: ReadonlyMap<string, (typeof frames)[number]> = new Map(
  frames.map((schema) => [schema.entries.type.literal, schema]),
)

/** `status.text` of a tool call, sent when it starts and again with its result (spec §1.3). */
export type ToolExecution = ToolInfo & { duration_ms?: number }

/** A choice that a client shows as a list; choosing sends `command` with the option's value as `arg`. */
export type Picker = {
  command: string
  prompt: string
  options: { label: string; value: string; subtitle?: string; active?: boolean }[]
}

/** What a command answers, over every door. */
export type CommandResult = { text: string; picker?: Picker; context?: SessionContext }

/** A row of `GET /api/commands`. */
export type CommandInfo = {
  name: string
  description: string
  help_text: string
  menu_visible: boolean
  help_visible: boolean
  /** Where a client finds values for the argument: `models`, `approvals`; null when it takes none. */
  arg_source: string | null
  /** Name of the plugin that answers it, and what it may do; absent for the server's own. */
  plugin?: string
  effect?: 'read' | 'write' | 'execute'
}

/** Frames that tell of one turn, made from its events. */
export type TurnFrame =
  & (
    | { type: 'text_final'; text: string; source: string; attachments?: Attachment[]; author?: Author }
    | { type: 'seed'; text: string; author: { kind: 'agent' } }
    | { type: 'reasoning'; active: boolean }
    | { type: 'status'; text: string }
    | { type: 'delta'; text: string }
    | { type: 'response'; text: string; attachments: Attachment[] | null; model: string | null }
    | { type: 'turn_complete'; reason: 'completed' | 'interrupted' | 'error'; error?: string }
    | {
      type: 'session_compacted'
      phase: 'running' | 'done' | 'error'
      folded_runs?: number
      summary_chars?: number
      tokens_before?: number
      tokens_after?: number
      error?: string
    }
    | {
      type: 'approval'
      approval_id: string
      call_id: string
      name: string
      arguments: Record<string, unknown>
      reason: string
      /** Epoch seconds. */
      expires_at: number
    }
    | ({ type: 'tool_progress'; call_id: string } & ToolProgress)
    | { type: 'approval_decided'; approval_id: string; call_id: string; decision: string; by: string }
  )
  & {
    session_id: string
    turn_id: string
    /** Epoch milliseconds. */
    ts_ms: number
    /** Resume point; only on the last frame of an event, so that resuming there leaves nothing out. */
    offset?: number
    seq?: number
  }

/** What the server sends. */
export type ServerFrame =
  | TurnFrame
  | {
    type: 'auth_ok'
    agent_name: string
    version: string
    handle: string
    connection_id: string
    network: string | null
    network_id: string | null
  }
  | { type: 'pong' }
  | { type: 'error'; text: string; session_id?: string; code?: string }
  | { type: 'queued'; position: number; session_id: string; turn_id: string }
  | ({ type: 'command_result'; session_id?: string } & CommandResult)
  | { type: 'context_report'; session_id: string; report: SessionContext }
  | {
    type: 'live_state'
    session_id: string
    active: boolean
    frames: TurnFrame[]
    /** Epoch seconds. */
    started_at: number
    updated_at: number
    offset: number
  }
  | { type: 'resource_event'; resource: string; action: string; id?: string }
  | { type: 'terminal_error'; terminal_id: string; error: string }
  | { type: 'ui_error'; code: string; message: string; viewId: string | null; subscriptionId: string | null }
