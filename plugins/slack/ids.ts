import { PluginError } from '../sdk/errors.ts'

/** Channels are C…, older private ones G…, direct chats D…. */
const CHANNEL = /^[CDG][A-Z0-9]{1,30}$/
const TS = /^\d{1,12}\.\d{1,10}$/

/** A direct chat; everything else has other people in it. */
export const isDirect = (channel: string): boolean => channel.startsWith('D')

/** Refuses what can't be a channel of Slack. */
export function channelOf({ chat_id }: { chat_id: string }): string {
  if (!CHANNEL.test(chat_id)) throw new PluginError('chat_not_found', `${chat_id} is no channel of Slack`)
  return chat_id
}

/** A thread is named by the time of its first message. */
export function threadOf({ thread_id }: { thread_id?: string | undefined }): string | undefined {
  if (thread_id !== undefined && !TS.test(thread_id)) {
    throw new PluginError('chat_not_found', `${thread_id} is no thread of Slack`)
  }
  return thread_id
}

/** The time of a message, which is its name within its channel. A file after the first has `#2` and so on. */
export function tsOf(messageId: string): string {
  const ts = messageId.replace(/#\d+$/, '')
  if (!TS.test(ts)) throw new PluginError('message_not_found', `${messageId} is no message of Slack`)
  return ts
}

/** Whether the first of two times is the later one; a number would lose its last digits. */
export function isLater(one: string, other: string): boolean {
  const [seconds = '', micros = ''] = one.split('.')
  const [otherSeconds = '', otherMicros = ''] = other.split('.')
  if (seconds !== otherSeconds) return Number(seconds) > Number(otherSeconds)
  return micros.padEnd(10, '0') > otherMicros.padEnd(10, '0')
}
