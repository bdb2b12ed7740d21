import type { PluginError } from '../sdk/errors.ts'
import type { Status } from './payload.ts'
import { refusal } from './refusal.ts'

const REMEMBERED = 2000

/**
 * What became of messages of ours. Meta accepts a message and tells afterwards, by the webhook, whether it went out;
 * the id of the core's command comes back with it.
 */
export function createDelivered({ onFailed }: { onFailed: (recipient: string, why: PluginError) => void }) {
  /** Messages by the id of the command that they were sent for. */
  const sentAs = new Map<string, string>()
  const outcomes = new Map<string, PluginError | 'sent'>()
  const waiting = new Map<string, (outcome: PluginError | 'sent') => void>()

  return {
    note({ id, status, recipient_id = '', biz_opaque_callback_data: command, errors = [] }: Status): void {
      const outcome = status === 'failed' ? refusal(errors[0] ?? {}) : 'sent'
      if (command && outcome === 'sent') keep(sentAs, command, id)
      // It is told once; what was delivered may still be said to be sent.
      if (outcomes.has(id)) return
      keep(outcomes, id, outcome)
      const waits = waiting.get(id)
      if (waits) waits(outcome)
      else if (outcome !== 'sent') onFailed(recipient_id, outcome)
    },

    /** The message that a command became, when its answer was lost on the way. */
    messageOf: (command: string): string | undefined => sentAs.get(command),

    /** Why a message did not go out; undefined when it did, or nothing was heard for so long. */
    async failure(id: string, ms: number): Promise<PluginError | undefined> {
      const outcome = outcomes.get(id) ?? await new Promise<PluginError | 'sent'>((resolve) => {
        const end = (outcome: PluginError | 'sent'): void => {
          clearTimeout(timer)
          waiting.delete(id)
          resolve(outcome)
        }
        const timer = setTimeout(() => end('sent'), ms)
        waiting.set(id, end)
      })
      return outcome === 'sent' ? undefined : outcome
    },
  }
}

export type Delivered = ReturnType<typeof createDelivered>

function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.set(key, value)
  if (map.size > REMEMBERED) map.delete(map.keys().next().value!)
}
