import * as v from 'valibot'

const text = v.string()
const maybeText = v.optional(text)
/** A file; it is fetched by its id. */
const file = v.optional(
  v.object({ id: text, mime_type: maybeText, caption: maybeText, filename: maybeText, voice: v.optional(v.boolean()) }),
)
const reply = v.optional(v.object({ id: text, title: maybeText }))

/** A message as the webhook tells it, as far as we read it. */
export const Message = v.object({
  id: v.pipe(text, v.minLength(1)),
  type: text,
  /** The number of who wrote; someone who hides it is only named by `from_user_id`. */
  from: maybeText,
  from_user_id: maybeText,
  group_id: maybeText,
  timestamp: v.optional(v.pipe(text, v.regex(/^\d{1,12}$/))),
  context: v.optional(v.object({ id: maybeText, from: maybeText })),
  text: v.optional(v.object({ body: text })),
  image: file,
  video: file,
  audio: file,
  document: file,
  sticker: file,
  location: v.optional(
    v.object({ latitude: v.number(), longitude: v.number(), name: maybeText, address: maybeText }),
  ),
  contacts: v.optional(v.array(v.object({
    name: v.optional(v.object({ formatted_name: maybeText })),
    phones: v.optional(v.array(v.object({ phone: maybeText, wa_id: maybeText }))),
  }))),
  reaction: v.optional(v.object({ message_id: text, emoji: maybeText })),
  interactive: v.optional(v.object({ type: text, button_reply: reply, list_reply: reply })),
  /** A button of a template. */
  button: v.optional(v.object({ text })),
  errors: v.optional(v.unknown()),
})
export type Message = v.InferOutput<typeof Message>

const GraphError = v.object({
  code: v.optional(v.number()),
  title: maybeText,
  message: maybeText,
  error_data: v.optional(v.object({ details: maybeText })),
})

/** What became of a message of ours: `sent`, `delivered`, `read`, `played`, or `failed`. */
export const Status = v.object({
  id: text,
  status: text,
  recipient_id: maybeText,
  /** What we gave along with the message: the id of the core's command. */
  biz_opaque_callback_data: maybeText,
  errors: v.optional(v.array(GraphError)),
})
export type Status = v.InferOutput<typeof Status>

const Contact = v.object({
  wa_id: maybeText,
  user_id: maybeText,
  profile: v.optional(v.object({ name: maybeText, username: maybeText })),
})
export type Contact = v.InferOutput<typeof Contact>

/** A post of the webhook. Its messages are read one by one, so that one that can't be read takes no other along. */
export const Delivery = v.object({
  object: text,
  entry: v.array(v.object({
    changes: v.array(v.object({
      field: text,
      value: v.looseObject({
        metadata: v.optional(v.object({ phone_number_id: maybeText, display_phone_number: maybeText })),
        contacts: v.optional(v.array(Contact), () => []),
        messages: v.optional(v.array(v.unknown()), () => []),
        statuses: v.optional(v.array(v.unknown()), () => []),
        errors: v.optional(v.array(GraphError), () => []),
      }),
    })),
  })),
})
export type Delivery = v.InferOutput<typeof Delivery>
