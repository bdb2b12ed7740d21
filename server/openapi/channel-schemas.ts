import * as v from 'valibot'
import * as channels from '../../shared/channels.ts'
import { Attachment } from './attachment.ts'

/** As in `schemas.ts`: each schema keeps within the type of `shared/` that it describes. */
type Of<T> = v.GenericSchema<T>

const text = v.string()
const nullableText = v.nullable(v.string())
const count = v.pipe(v.number(), v.integer())
const epochSeconds = v.pipe(v.number(), v.description('Epoch seconds'))
const decided = <S extends v.GenericSchema>(schema: S) =>
  v.pipe(v.nullable(schema), v.description('Null where the settings of the channel decide'))

export const Channel = v.object({
  name: v.pipe(text, v.description('The key of its section in gatehouse.yaml')),
  plugin: text,
  state: v.picklist(['stopped', 'starting', 'ready', 'backoff', 'failed', 'quarantined']),
  identity: v.nullable(v.object({
    gateway: text,
    version: text,
    capabilities: v.array(text),
    name: v.pipe(nullableText, v.description('Who it is on the platform, such as @helper')),
  })),
  connected: v.boolean(),
  detail: nullableText,
  problem: v.pipe(nullableText, v.description('Why the plugin does not run')),
  open_to: v.pipe(text, v.description('Who may write, in words')),
  messages: v.object({ in: count, out: count, in_last_hour: count, out_last_hour: count }),
  throughput: v.pipe(
    v.array(v.object({ minute: epochSeconds, in: count, out: count })),
    v.description('The last 60 minutes, oldest first; minutes in which nothing happened are left out'),
  ),
  outbox: v.object({ waiting: count, dead: count }),
  last_message_at: v.nullable(epochSeconds),
  last_error: v.nullable(v.object({ at: epochSeconds, message: text })),
  auth: v.pipe(
    v.nullable(v.union([
      v.object({
        method: v.literal('qr_code'),
        qr_data: text,
        qr_ascii: nullableText,
        expires_at: epochSeconds,
      }),
      v.object({ method: v.literal('pair_code'), code: text, expires_at: epochSeconds }),
    ])),
    v.description('What the platform wants to be confirmed on another device; only told to an admin'),
  ),
}) satisfies Of<channels.Channel>

export const Pairing = v.object({
  id: text,
  channel: text,
  code: text,
  person_id: text,
  person_name: text,
  chat_id: text,
  state: v.picklist(['pending', 'approved', 'rejected', 'expired']),
  decided_by: nullableText,
  created_at: epochSeconds,
  expires_at: epochSeconds,
}) satisfies Of<channels.Pairing>

export const ChannelPerson = v.object({
  channel: text,
  person_id: text,
  name: text,
  disposition: decided(channels.Disposition),
  paired: v.boolean(),
  trusted: v.pipe(v.boolean(), v.description('May answer what the agent asks, let others in, and choose models')),
  in_effect: v.pipe(
    v.object({
      may_write: v.boolean(),
      trusted: v.boolean(),
      action: v.picklist(['answer', 'context', 'record', 'pair', 'drop']),
    }),
    v.description('What holds by the settings of the channel and these decisions together, where they write directly'),
  ),
  messages: count,
  last_seen_at: v.nullable(epochSeconds),
}) satisfies Of<channels.ChannelPerson>

export const ChannelGroup = v.object({
  channel: text,
  chat_id: text,
  allowed: decided(v.boolean()),
  activation: decided(channels.Activation),
  disposition: decided(channels.Disposition),
  messages: count,
  last_seen_at: v.nullable(epochSeconds),
}) satisfies Of<channels.ChannelGroup>

export const OutboxEntry = v.object({
  id: v.pipe(text, v.description('Also the request_id of its command, the same at each try')),
  channel: text,
  chat_id: text,
  thread_id: nullableText,
  kind: v.picklist(['send', 'edit', 'media']),
  text,
  attachment: v.nullable(Attachment),
  state: v.picklist(['waiting', 'sent', 'dead', 'discarded']),
  attempts: count,
  error: nullableText,
  message_id: v.pipe(nullableText, v.description("The platform's, once it has the message")),
  session_id: nullableText,
  turn_id: nullableText,
  created_at: epochSeconds,
  next_at: epochSeconds,
  sent_at: v.nullable(epochSeconds),
}) satisfies Of<channels.OutboxEntry>
