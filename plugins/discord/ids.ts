import { PluginError } from '../sdk/errors.ts'

const NUMBER = /^\d{1,20}$/

/**
 * What the core knows a message by: its channel and its number there. A thread is a channel of its own for Discord, and
 * an edit or a deletion is told the chat, but not the thread.
 */
export const messageId = (channel: string, number: string): string => `${channel}/${number}`

/** A message of ours again; undefined for what is no id of ours. A file after the first has `#2` and so on. */
export function parseMessageId(id: string | undefined): { channel: string; number: string } | undefined {
  const [, channel, number] = /^(\d{1,20})\/(\d{1,20})(?:#\d+)?$/.exec(id ?? '') ?? []
  return channel && number ? { channel, number } : undefined
}

/** Refuses what can't be the number of a channel, before it becomes a part of an address. */
export function channelOf({ chat_id, thread_id }: { chat_id: string; thread_id?: string | undefined }): string {
  const channel = thread_id ?? chat_id
  if (!NUMBER.test(channel)) throw new PluginError('chat_not_found', `${channel} is no channel of Discord`)
  return channel
}

/** Whether the first number is the later one; they are longer than a JavaScript number is exact. */
export const isLater = (one: string, other: string): boolean =>
  one.length === other.length ? one > other : one.length > other.length
