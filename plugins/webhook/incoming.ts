import * as v from 'valibot'
import type { ChannelApi } from '../sdk/channel.ts'

const id = v.pipe(v.string('must be text'), v.minLength(1, 'must not be empty'), v.maxLength(300, 'is too long'))
const words = v.pipe(v.string('must be text'), v.maxLength(100_000, 'is too long'))
const sender = v.object({ id, name: v.optional(words) }, 'must be an object')

/** What the other side posts. */
const Post = v.variant('type', [
  v.object({
    type: v.literal('message'),
    chat_id: id,
    thread_id: v.optional(id),
    group: v.optional(v.boolean('must be true or false'), false),
    mentioned: v.optional(v.boolean('must be true or false'), false),
    sender,
    text: words,
    reply_to: v.optional(id),
  }),
  v.object({ type: v.literal('callback'), chat_id: id, sender, message_id: id, data: words }),
], 'must be message or callback')

/** Tells the core of a post, and resolves when it has it; answers with what is wrong with the post. */
export async function take(api: ChannelApi, postId: string, body: string): Promise<string | undefined> {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return 'the body is no JSON'
  }
  const result = v.safeParse(Post, value, { abortEarly: true })
  if (!result.success) {
    const [issue] = result.issues
    const field = issue.path?.map((step) => String(step.key)).join('.') ?? 'body'
    return `${field} ${issue.received === 'undefined' ? 'is missing' : issue.message}`
  }
  const post = result.output
  const who = { id: post.sender.id, ...(post.sender.name ? { display_name: post.sender.name } : {}) }
  if (post.type === 'callback') {
    const { chat_id, message_id, data } = post
    await api.pressed({ callback_query_id: postId, chat_id, sender: who, message_id, data })
  } else {
    await api.received({
      message_id: postId,
      chat_id: post.chat_id,
      sender: who,
      content: { type: 'text', text: post.text },
      routing: { channel: 'webhook', chat_type: post.group ? 'group' : 'dm', thread_id: post.thread_id },
      mentions_bot: !post.group || post.mentioned,
      ...(post.reply_to ? { reply_to: post.reply_to } : {}),
    })
  }
  await api.settled()
  return undefined
}
