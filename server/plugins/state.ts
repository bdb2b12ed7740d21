import type { CapabilityCommand, CapabilityEvent } from '../../shared/plugin-protocol.ts'
import type { PluginStore } from './store.ts'

export type StateEvent = Extract<CapabilityEvent, { type: 'state_get' | 'state_set' | 'state_delete' | 'state_list' }>

const MAX_VALUE = 256 * 1024
/** Keys that one plugin may have. */
export const MAX_KEYS = 10_000
const LISTED = 1000

/** The small store that the server keeps for a plugin: what it answers to one request. */
export const answerState = async (store: PluginStore, plugin: string, event: StateEvent, now: number): Promise<
  CapabilityCommand
> => {
  const { request_id } = event
  const refuse = (code: string, message: string): CapabilityCommand => ({
    type: 'state_failed',
    request_id,
    code,
    message,
  })
  switch (event.type) {
    case 'state_get': {
      const text = await store.state.get(plugin, event.key)
      return { type: 'state_ok', request_id, value: text === undefined ? null : JSON.parse(text) }
    }
    case 'state_set': {
      const text = JSON.stringify(event.value ?? null)
      if (text.length > MAX_VALUE) return refuse('too_large', `a value has at most ${MAX_VALUE} characters of JSON`)
      const done = await store.state.set(plugin, event.key, text, { at: now, maxKeys: MAX_KEYS })
      return done ? { type: 'state_ok', request_id } : refuse('too_many', `there are ${MAX_KEYS} keys already`)
    }
    case 'state_delete':
      await store.state.remove(plugin, event.key)
      return { type: 'state_ok', request_id }
    case 'state_list':
      return { type: 'state_ok', request_id, keys: await store.state.list(plugin, event.prefix ?? '', LISTED) }
  }
}
