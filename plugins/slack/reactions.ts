import type { Channel } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import type { SlackApi } from './api.ts'
import { channelOf, tsOf } from './ids.ts'
import { SlackRefusal } from './refusal.ts'

/** What Slack calls the signs that a core sets. */
const NAMES: Record<string, string> = {
  '👀': 'eyes',
  '👍': '+1',
  '👎': '-1',
  '😢': 'cry',
  '✅': 'white_check_mark',
  '❌': 'x',
  '⏳': 'hourglass_flowing_sand',
  '❤️': 'heart',
  '🎉': 'tada',
}

/** It stands there already, or does not any more: as it was wanted. */
const AS_WANTED = new Set(['already_reacted', 'no_reaction'])

/** Signs of ours below messages of others. */
export function createReactions(api: SlackApi): Required<Pick<Channel, 'react'>> {
  async function call(method: 'reactions.add' | 'reactions.remove', channel: string, ts: string, emoji: string) {
    const name = NAMES[emoji]
    if (!name) throw new PluginError('invalid_request', `The name that Slack has for ${emoji} is not known here`)
    await api.call(method, { channel, timestamp: ts, name }).catch((error: unknown) => {
      if (!(error instanceof SlackRefusal) || !AS_WANTED.has(error.error)) throw error
    })
  }

  return {
    async react(message) {
      const [channel, ts] = [channelOf(message), tsOf(message.message_id)]
      if (message.emoji) await call('reactions.add', channel, ts, message.emoji)
      if (message.replaces) await call('reactions.remove', channel, ts, message.replaces)
    },
  }
}
