import * as v from 'valibot'

/**
 * Gateway Protocol v1alpha1: JSON Lines between the server and a plugin that carries a chat platform, commands on the
 * plugin's stdin and events on its stdout. Unknown fields are ignored; an optional field may be absent or null, a
 * field with a default may be absent but not null; ids are strings.
 */
export const GATEWAY_PROTOCOL = 'v1alpha1'

/** Bytes of one line from a plugin, its line end not counted; a longer one is dropped. */
export const MAX_LINE_BYTES = 1_048_576

const text = v.string('must be text')
const flag = v.optional(v.boolean('must be true or false'), false)

/** Absent or null; null reads as absent. */
const maybe = <S extends v.GenericSchema>(schema: S) =>
  v.optional(v.pipe(v.nullable(schema), v.transform((value) => value ?? undefined)))

const whole = (max: number) =>
  v.pipe(
    v.number('must be a number'),
    v.integer('must be a whole number'),
    v.minValue(0, 'must not be negative'),
    v.maxValue(max, 'is too large'),
  )
const u32 = whole(4_294_967_295)
const u64 = whole(2 ** 64)

/** Buttons below a message, row by row. */
export const InlineKeyboard = v.object({
  rows: v.array(v.array(v.object({ text, callback_data: text }), 'must be a list'), 'must be a list'),
})
export type InlineKeyboard = v.InferOutput<typeof InlineKeyboard>

/**
 * A file to send: where it is, or what it is. `file` is an addition of ours, only for plugins whose `ready` names
 * `media_file`: a path in their own folder, to be read before the command is answered, when the file goes away.
 */
export const MediaPayload = v.variant('source', [
  v.object({ source: v.literal('url'), url: text, mime_type: maybe(text) }),
  v.object({ source: v.literal('base64'), data: text, mime_type: text, filename: maybe(text) }),
  v.object({ source: v.literal('file'), path: text, mime_type: text, filename: maybe(text) }),
], 'must be url, base64 or file')
export type MediaPayload = v.InferOutput<typeof MediaPayload>

/** `thread_id`, as routing named it, is an addition of ours, for plugins whose chats have threads. */
const SendMessage = v.object({
  type: v.literal('send_message'),
  request_id: text,
  chat_id: text,
  thread_id: maybe(text),
  content: text,
  reply_to: maybe(text),
  inline_keyboard: maybe(InlineKeyboard),
})
const SendMedia = v.object({
  type: v.literal('send_media'),
  request_id: text,
  chat_id: text,
  thread_id: maybe(text),
  media: MediaPayload,
  caption: maybe(text),
})
/** Has no request id, so it is never answered. A duration of 0 ends it. `thread_id` is an addition of ours. */
const SendTyping = v.object({
  type: v.literal('send_typing'),
  chat_id: text,
  thread_id: maybe(text),
  duration: v.optional(u32, 0),
})
const EditMessage = v.object({
  type: v.literal('edit_message'),
  request_id: text,
  chat_id: text,
  message_id: text,
  content: text,
})
const DeleteMessage = v.object({
  type: v.literal('delete_message'),
  request_id: text,
  chat_id: text,
  message_id: text,
})
const AnswerCallbackQuery = v.object({
  type: v.literal('answer_callback_query'),
  request_id: text,
  callback_query_id: text,
  text: maybe(text),
})
/**
 * Our sign below a message of somebody, in place of the one before; none takes it away. An addition of ours, only for
 * plugins whose `ready` names `reactions`.
 */
const SetReaction = v.object({
  type: v.literal('set_reaction'),
  request_id: text,
  chat_id: text,
  thread_id: maybe(text),
  message_id: text,
  emoji: maybe(text),
  /** What we had set before, for platforms that add signs to each other. */
  replaces: maybe(text),
})
const Ping = v.object({ type: v.literal('ping'), request_id: text })
const Shutdown = v.object({ type: v.literal('shutdown') })

/** What the server says. A plugin must not fail at a `type` that it does not know. */
export const GatewayCommand = v.variant('type', [
  SendMessage,
  SendMedia,
  SendTyping,
  EditMessage,
  DeleteMessage,
  AnswerCallbackQuery,
  SetReaction,
  Ping,
  Shutdown,
])
export type GatewayCommand = v.InferOutput<typeof GatewayCommand>

/** A command that is answered with `command_ok` or `command_error`, before it has its id. */
export type CommandBody =
  | Omit<v.InferOutput<typeof SendMessage>, 'request_id'>
  | Omit<v.InferOutput<typeof SendMedia>, 'request_id'>
  | Omit<v.InferOutput<typeof EditMessage>, 'request_id'>
  | Omit<v.InferOutput<typeof DeleteMessage>, 'request_id'>
  | Omit<v.InferOutput<typeof AnswerCallbackQuery>, 'request_id'>
  | Omit<v.InferOutput<typeof SetReaction>, 'request_id'>

/** Who wrote, on the platform. */
export const Sender = v.object({ id: text, username: maybe(text), display_name: maybe(text) })
export type Sender = v.InferOutput<typeof Sender>

/** There is no fallback: a plugin that has something else to say sends `unknown`. */
export const MessageContent = v.variant('type', [
  v.object({ type: v.literal('text'), text }),
  v.object({ type: v.literal('media'), media_type: text, url: maybe(text), caption: maybe(text) }),
  v.object({
    type: v.literal('location'),
    latitude: v.number('must be a number'),
    longitude: v.number('must be a number'),
  }),
  v.object({ type: v.literal('contact'), name: text, phone: text }),
  v.object({ type: v.literal('unknown'), raw: v.optional(v.unknown()) }),
], 'must be text, media, location, contact or unknown')
export type MessageContent = v.InferOutput<typeof MessageContent>

/** Where a message belongs; every further key must be text as well, such as `thread_id` or `guild_id`. */
export const Routing = v.objectWithRest(
  { channel: text, chat_type: text, chat_id: text, sender_id: text },
  text,
)
export type Routing = v.InferOutput<typeof Routing>

/** RFC 3339 with a zone, as UTC. */
const Timestamp = v.pipe(
  text,
  v.regex(
    /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/,
    'must be a time with its zone, such as 2026-03-01T08:15:00Z',
  ),
  v.check((value) => Number.isFinite(Date.parse(value.replace(' ', 'T').toUpperCase())), 'is no time'),
  v.transform((value) => new Date(value.replace(' ', 'T').toUpperCase()).toISOString()),
)

const AuthMethod = v.variant('method', [
  v.object({ method: v.literal('qr_code'), qr_data: text, qr_ascii: maybe(text), expires_in: u32 }),
  v.object({ method: v.literal('pair_code'), code: text, expires_in: u32 }),
], 'must be qr_code or pair_code')
export type AuthMethod = v.InferOutput<typeof AuthMethod>

/**
 * `version` is the protocol's; a list of what the plugin can do, such as `edit` or `typing`, is free text. The longest
 * text of one message, in the unit that the platform counts in, is an addition of ours.
 */
const Ready = v.object({
  type: v.literal('ready'),
  gateway: text,
  version: text,
  capabilities: v.optional(v.array(text, 'must be a list'), () => []),
  text_limit: maybe(u32),
  text_unit: maybe(v.picklist(['utf16', 'chars', 'bytes'], 'must be utf16, chars or bytes')),
})
const MessageReceived = v.object({
  type: v.literal('message_received'),
  message_id: text,
  chat_id: text,
  sender: Sender,
  content: MessageContent,
  routing: Routing,
  reply_to: maybe(text),
  mentions_bot: flag,
  reply_to_bot: flag,
  timestamp: maybe(Timestamp),
  metadata: v.optional(v.pipe(v.unknown(), v.transform((value) => value ?? undefined))),
})
export type MessageReceived = v.InferOutput<typeof MessageReceived>
const CallbackQuery = v.object({
  type: v.literal('callback_query'),
  callback_query_id: text,
  chat_id: text,
  sender: Sender,
  message_id: text,
  data: text,
})
export type CallbackQuery = v.InferOutput<typeof CallbackQuery>
const CommandOk = v.object({ type: v.literal('command_ok'), request_id: text, message_id: maybe(text) })
/** `retry_after_ms` is an addition of ours; plugins of others leave it out. */
const CommandError = v.object({
  type: v.literal('command_error'),
  request_id: text,
  code: text,
  message: text,
  retry_after_ms: maybe(u32),
})
const Pong = v.object({
  type: v.literal('pong'),
  request_id: text,
  uptime_seconds: u64,
  connected: v.boolean('must be true or false'),
})
/** Belongs to no command. A fatal one ends the plugin. */
const ErrorEvent = v.object({ type: v.literal('error'), code: text, message: text, fatal: flag })
const ShutdownEvent = v.object({ type: v.literal('shutdown'), reason: text })
const AuthRequired = v.object({ type: v.literal('auth_required'), method: AuthMethod })
const AuthSuccess = v.object({ type: v.literal('auth_success') })

/** What a plugin says; `parseEvent` in `plugin-protocol.ts` reads a line of it. */
export const GatewayEvent = v.variant('type', [
  Ready,
  MessageReceived,
  CallbackQuery,
  CommandOk,
  CommandError,
  Pong,
  ErrorEvent,
  ShutdownEvent,
  AuthRequired,
  AuthSuccess,
])
export type GatewayEvent = v.InferOutput<typeof GatewayEvent>

/** The schema of each event by its type, for whoever knows the type already. */
export const GATEWAY_EVENTS = Object.fromEntries(
  GatewayEvent.options.map((schema) => [schema.entries.type.literal, schema]),
) as Record<string, v.GenericSchema<unknown, GatewayEvent>>
