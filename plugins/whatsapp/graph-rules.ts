import * as v from 'valibot'

const text = (max: number) => v.pipe(v.string(), v.trim(), v.minLength(1), v.check((value) => [...value].length <= max))
const unique = <T>(key: (item: T) => string) =>
  v.check((items: T[]) => new Set(items.map(key)).size === items.length, 'must be unique')

const file = (more: v.ObjectEntries = {}) => v.strictObject({ id: text(200), ...more })
const caption = { caption: v.optional(text(1024)) }

const Buttons = v.strictObject({
  type: v.literal('button'),
  body: v.strictObject({ text: text(1024) }),
  action: v.strictObject({
    buttons: v.pipe(
      v.array(
        v.strictObject({
          type: v.literal('reply'),
          reply: v.strictObject({ id: text(256), title: text(20) }),
        }),
      ),
      v.minLength(1),
      v.maxLength(3),
      unique(({ reply }) => reply.id),
      unique(({ reply }) => reply.title),
    ),
  }),
})
const List = v.strictObject({
  type: v.literal('list'),
  body: v.strictObject({ text: text(4096) }),
  action: v.strictObject({
    button: text(20),
    sections: v.tuple([v.strictObject({
      rows: v.pipe(
        v.array(v.strictObject({ id: text(200), title: text(24), description: v.optional(text(72)) })),
        v.minLength(1),
        v.maxLength(10),
        unique(({ id }) => id),
      ),
    })]),
  }),
})

const wamid = v.pipe(v.string(), v.startsWith('wamid.'))
const common = {
  messaging_product: v.literal('whatsapp'),
  recipient_type: v.picklist(['individual', 'group']),
  to: v.optional(text(200)),
  recipient: v.optional(v.pipe(v.string(), v.regex(/^[A-Z]{2}\.\w+$/))),
  context: v.optional(v.strictObject({ message_id: wamid })),
  biz_opaque_callback_data: v.optional(text(512)),
}

const Sendable = v.variant('type', [
  v.strictObject({
    ...common,
    type: v.literal('text'),
    text: v.strictObject({ body: text(4096), preview_url: v.optional(v.boolean()) }),
  }),
  v.strictObject({
    ...common,
    type: v.literal('reaction'),
    reaction: v.strictObject({ message_id: wamid, emoji: v.pipe(v.string(), v.maxLength(20)) }),
  }),
  v.strictObject({ ...common, type: v.literal('image'), image: file(caption) }),
  v.strictObject({ ...common, type: v.literal('video'), video: file(caption) }),
  v.strictObject({ ...common, type: v.literal('audio'), audio: file({ voice: v.optional(v.boolean()) }) }),
  v.strictObject({
    ...common,
    type: v.literal('document'),
    document: file({ ...caption, filename: v.optional(text(240)) }),
  }),
  v.strictObject({ ...common, type: v.literal('interactive'), interactive: v.variant('type', [Buttons, List]) }),
])

const Read = v.strictObject({
  messaging_product: v.literal('whatsapp'),
  status: v.literal('read'),
  message_id: wamid,
  typing_indicator: v.optional(v.strictObject({ type: v.literal('text') })),
})

const TYPES: Record<string, RegExp> = {
  image: /^image\/(jpeg|png)$/,
  audio: /^audio\/(aac|mp4|mpeg|amr|ogg)$/,
  video: /^video\/(mp4|3gpp)$/,
  document: /^(text\/plain|application\/.+)$/,
}

/** What Meta would have against a body that is posted to `messages`. */
export function problemOf(
  body: Record<string, unknown>,
  files: ReadonlyMap<string, { mime: string }>,
): string | undefined {
  const result = v.safeParse(body.status === undefined ? Sendable : Read, body)
  if (!result.success) return `${v.getDotPath(result.issues[0])}: ${result.issues[0].message}`
  if ('status' in result.output) return undefined
  const { to, recipient, recipient_type, type } = result.output
  if ((to === undefined) === (recipient === undefined)) return 'to or recipient'
  if (recipient_type === 'individual' && to !== undefined && !/^\d{5,20}$/.test(to)) return 'to is no number'
  if (recipient_type === 'group' && type === 'interactive') return 'groups have no interactive messages'
  const rule = TYPES[type]
  if (!rule) return undefined
  const uploaded = files.get((body[type] as { id: string }).id)
  if (!uploaded) return 'media not found'
  return rule.test(uploaded.mime) ? undefined : `${uploaded.mime} is no ${type}`
}
