import * as v from 'valibot'
import type { Attachment } from './turn-events.ts'

/** What becomes of what a person writes: answered, kept as context, kept in the record only, or dropped. */
export const Disposition = v.picklist(
  ['allow', 'passive', 'silent', 'block'],
  'must be allow, passive, silent or block',
)
export type Disposition = v.InferOutput<typeof Disposition>

export const Activation = v.picklist(['mention', 'always'], 'must be mention or always')
export type Activation = v.InferOutput<typeof Activation>

/** How a platform counts the length of a message. */
export const TextUnit = v.picklist(['utf16', 'chars', 'bytes'], 'must be utf16, chars or bytes')
export type TextUnit = v.InferOutput<typeof TextUnit>

/** An id as a platform writes it; YAML reads the unquoted ones as numbers. */
const Id = v.pipe(
  v.union([
    v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(300, 'must have at most 300 characters')),
    v.pipe(v.number(), v.safeInteger('is too large a number; put it in quotes'), v.transform(String)),
  ], 'must be an id, in quotes'),
)
const ids = (title: string, description: string) =>
  v.optional(v.pipe(v.array(Id, 'must be a list'), v.title(title), v.description(description)))

const whole = (title: string, description: string, min: number, max: number) =>
  v.pipe(
    v.number('must be a number'),
    v.integer('must be a whole number'),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
    v.title(title),
    v.description(description),
  )
const flag = (title: string, description: string) =>
  v.pipe(v.boolean('must be true or false'), v.title(title), v.description(description))

/** What the core does with a channel; the part of `channels.<name>` that is not about its plugin. */
export const channelEntries = {
  allowed_users: ids('Who may write', 'Ids of people, "abc*" for all that begin so; "*" opens it to everybody'),
  allowed_groups: ids('Groups', 'Ids of groups whose members may write; "*" means every group'),
  approvers: v.optional(
    v.pipe(
      v.array(Id, 'must be a list'),
      v.title('Who may approve'),
      v.description(
        'Ids of people who may answer any question of the agent here. When left out, each trusted person answers ' +
          'the questions that their own messages caused: those who stand in "Who may write" by their full id, ' +
          'and paired ones that you trust.',
      ),
    ),
  ),
  pairing: v.optional(
    flag('Pairing', 'Strangers who write directly get a code, and may write once you approve it'),
  ),
  activation: v.optional(
    v.pipe(
      Activation,
      v.title('In groups, answer'),
      v.description('mention: only what is addressed to the agent; always: everything'),
    ),
  ),
  group_disposition: v.optional(
    v.pipe(Disposition, v.title('Members of groups'), v.description('What becomes of the words of people not listed')),
  ),
  dispositions: v.optional(
    v.pipe(
      v.record(v.string(), Disposition, 'must be a group of ids'),
      v.title('Single people'),
      v.description('By id, "abc*" for all that begin so: allow, passive (context only), silent, or block'),
    ),
  ),
  context_messages: v.optional(
    whole('Context', 'Messages of group talk that are told to the agent with the next question', 0, 1000),
  ),
  context_hours: v.optional(whole('Age of context', 'Hours', 1, 720)),
  model: v.optional(v.pipe(v.string('must be text'), v.maxLength(300), v.title('Model'))),
  queue_policy: v.optional(
    v.pipe(
      v.picklist(['fifo', 'merge', 'interrupt'], 'must be fifo, merge or interrupt'),
      v.title('Text during a running answer'),
    ),
  ),
  burst_ms: v.optional(
    whole('Wait for more', 'Milliseconds in which messages of one person are joined', 0, 60_000),
  ),
  streaming: v.optional(flag('Growing replies', 'Show long replies while they are written, where edits work')),
  ack_reaction: v.optional(
    v.pipe(
      v.picklist(['off', 'working', 'all'], 'must be off, working or all'),
      v.title('Reactions'),
      v.description(
        'Signs below what people write, where the platform has them: 👀 while the agent works, 😢 when it failed; ' +
          'with "all" also 👍 when it is done',
      ),
    ),
  ),
  text_limit: v.optional(
    whole('Longest message', "Longer replies are split; the platform's own when left out", 100, 1_000_000),
  ),
  text_unit: v.optional(v.pipe(TextUnit, v.title('Counted in'))),
  max_media_bytes: v.optional(
    whole('Largest file', 'Bytes, in either direction', 1, 1024 ** 3),
  ),
}
/** What holds where the configuration says nothing. */
export const CHANNEL_DEFAULTS = {
  allowed_users: [] as string[],
  allowed_groups: [] as string[],
  pairing: true,
  activation: 'mention' as Activation,
  group_disposition: 'allow' as Disposition,
  dispositions: {} as Record<string, Disposition>,
  context_messages: 100,
  context_hours: 24,
  burst_ms: 1500,
  streaming: true,
  ack_reaction: 'off' as 'off' | 'working' | 'all',
  max_media_bytes: 25 * 1024 ** 2,
}

const Entries = v.object(channelEntries)
export type ChannelSettings =
  & Omit<v.InferOutput<typeof Entries>, keyof typeof CHANNEL_DEFAULTS>
  & typeof CHANNEL_DEFAULTS

const pattern = v.optional(v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(300)))

/** Where messages go: what is left out matches everything, `*` stands for any characters. */
export const ChannelRouteInput = v.object({
  match: v.optional(
    v.strictObject({ channel: pattern, chat_type: pattern, chat_id: pattern, sender_id: pattern, thread_id: pattern }),
    {},
  ),
  /** Who answers; there is one agent so far, and its name is checked. */
  agent: v.optional(v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(200))),
  /** Fixed session; one for each chat when left out. */
  session: v.optional(v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(200))),
  model: v.optional(v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(300))),
  /** Added to the instructions of the sessions that this rule leads to. */
  instructions: v.optional(v.pipe(v.string(), v.maxLength(20_000, 'must have at most 20,000 characters'))),
  /** Drops what matches. */
  ignore: v.optional(v.boolean(), false),
})
export type ChannelRoute = v.InferOutput<typeof ChannelRouteInput>

const Rules = v.pipe(v.array(ChannelRouteInput, 'must be a list'), v.maxLength(200, 'has more than 200 rules'))
export const PutRoutesInput = v.object({ routes: Rules })

/** "Where would this go?" */
export const RouteTestInput = v.object({
  channel: v.pipe(v.string(), v.minLength(1, 'must not be empty')),
  chat_type: v.optional(v.string(), 'dm'),
  chat_id: v.pipe(v.string(), v.minLength(1, 'must not be empty')),
  sender_id: v.pipe(v.string(), v.minLength(1, 'must not be empty')),
  thread_id: v.optional(v.string()),
  mentions_bot: v.optional(v.boolean(), false),
  /** Judged by in place of the rules in force. */
  routes: v.optional(Rules),
})
export type RouteTest = v.InferOutput<typeof RouteTestInput>

export type RouteTestResult = {
  /** What would be done with it, and why. */
  action: 'answer' | 'context' | 'record' | 'pair' | 'drop'
  reason: string
  /** Number of the rule that matches, from 0; null for none. */
  rule: number | null
  session_id: string | null
  model: string | null
  /** Who would answer. */
  agent: string | null
}

/** A code or QR that the platform wants to be confirmed on another device. Times are epoch seconds. */
export type ChannelAuth =
  | { method: 'qr_code'; qr_data: string; qr_ascii: string | null; expires_at: number }
  | { method: 'pair_code'; code: string; expires_at: number }

export type Channel = {
  name: string
  plugin: string
  state: 'stopped' | 'starting' | 'ready' | 'backoff' | 'failed' | 'quarantined'
  /** What the plugin says of itself while it is ready; `name` is who it is on the platform, such as `@helper`. */
  identity: { gateway: string; version: string; capabilities: string[]; name: string | null } | null
  /** Whether the plugin reaches its platform, and what it says of that. */
  connected: boolean
  detail: string | null
  /** Why the plugin does not run. */
  problem: string | null
  /** Who may write, in words: "nobody", "2 people and everybody matching guest*". */
  open_to: string
  messages: { in: number; out: number; in_last_hour: number; out_last_hour: number }
  /** In the last 60 minutes, oldest first. */
  throughput: { minute: number; in: number; out: number }[]
  outbox: { waiting: number; dead: number }
  last_message_at: number | null
  last_error: { at: number; message: string } | null
  auth: ChannelAuth | null
}

export type Pairing = {
  id: string
  channel: string
  code: string
  person_id: string
  person_name: string
  chat_id: string
  state: 'pending' | 'approved' | 'rejected' | 'expired'
  decided_by: string | null
  created_at: number
  expires_at: number
}

export const ApprovePairingInput = v.object({
  /** May answer the agent's questions, approve pairings, and choose models. */
  trusted: v.optional(v.boolean(), false),
})

const search = v.optional(v.pipe(v.string(), v.trim(), v.maxLength(200, 'must have at most 200 characters')))
const pageOf = (usual: number) =>
  v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,3}$/, 'must be a number from 1 to 200'),
      v.transform(Number),
      v.minValue(1, 'must be a number from 1 to 200'),
      v.maxValue(200, 'must be a number from 1 to 200'),
    ),
    String(usual),
  )
const ulidCursor = v.optional(v.pipe(v.string(), v.regex(/^[0-9A-Z]{26}$/, 'is not one that this list gave')))

/** `q` is looked for in names, ids and codes. */
export const PairingQuery = v.object({
  state: v.optional(v.picklist(['pending', 'all'], 'must be pending or all'), 'pending'),
  q: search,
  limit: pageOf(200),
  cursor: ulidCursor,
})
export type PairingQuery = v.InferOutput<typeof PairingQuery>

/** Of people, `q` is looked for in names and ids; of groups in ids. */
export const ChannelListQuery = v.object({
  channel: v.optional(v.pipe(v.string(), v.maxLength(200))),
  q: search,
  limit: pageOf(200),
  cursor: v.optional(v.pipe(v.string(), v.maxLength(4000))),
})
export type ChannelListQuery = v.InferOutput<typeof ChannelListQuery>

/** Somebody who wrote, or who was given a disposition. */
export type ChannelPerson = {
  channel: string
  person_id: string
  name: string
  /** Null where the settings of the channel decide. */
  disposition: Disposition | null
  paired: boolean
  trusted: boolean
  /** What holds by the settings of the channel and these decisions together, where they write directly. */
  in_effect: {
    may_write: boolean
    trusted: boolean
    action: RouteTestResult['action']
  }
  messages: number
  last_seen_at: number | null
}

export const UpdatePersonInput = v.object({
  disposition: v.optional(v.nullable(Disposition)),
  trusted: v.optional(v.boolean('must be true or false')),
  /** False takes back a pairing. */
  paired: v.optional(v.boolean('must be true or false')),
})
export type UpdatePersonInput = v.InferOutput<typeof UpdatePersonInput>

export type ChannelGroup = {
  channel: string
  chat_id: string
  /** Null where the settings of the channel decide. */
  allowed: boolean | null
  activation: Activation | null
  disposition: Disposition | null
  messages: number
  last_seen_at: number | null
}

export const UpdateGroupInput = v.object({
  allowed: v.optional(v.nullable(v.boolean('must be true or false'))),
  activation: v.optional(v.nullable(Activation)),
  disposition: v.optional(v.nullable(Disposition)),
})
export type UpdateGroupInput = v.InferOutput<typeof UpdateGroupInput>

export type OutboxState = 'waiting' | 'sent' | 'dead' | 'discarded'

export type OutboxEntry = {
  id: string
  channel: string
  chat_id: string
  thread_id: string | null
  kind: 'send' | 'edit' | 'media'
  text: string
  attachment: Attachment | null
  state: OutboxState
  attempts: number
  error: string | null
  message_id: string | null
  session_id: string | null
  turn_id: string | null
  created_at: number
  next_at: number
  sent_at: number | null
}

export const OutboxQuery = v.object({
  state: v.optional(
    v.picklist(['open', 'dead', 'sent', 'discarded', 'all'], 'must be open, dead, sent, discarded or all'),
    'open',
  ),
  channel: v.optional(v.pipe(v.string(), v.maxLength(200))),
  /** Looked for in texts, names of files, and ids of chats. */
  q: search,
  limit: pageOf(100),
  cursor: ulidCursor,
})
export type OutboxQuery = v.InferOutput<typeof OutboxQuery>

/** A message of ours into a chat: a test, or a word from the owner. */
export const SendToChatInput = v.object({
  chat_id: v.pipe(v.string(), v.minLength(1, 'must not be empty'), v.maxLength(300)),
  thread_id: v.optional(v.pipe(v.string(), v.maxLength(300))),
  text: v.pipe(v.string(), v.trim(), v.minLength(1, 'must not be empty'), v.maxLength(100_000)),
})
export type SendToChatInput = v.InferOutput<typeof SendToChatInput>
