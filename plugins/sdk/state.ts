import type { ToPlugin } from '../../shared/plugin-protocol.ts'
import { PluginError } from './errors.ts'
import type { Link } from './link.ts'

/** A small store of the plugin's own that the core keeps over restarts; values are JSON. */
export type State = {
  /** Undefined when there is none. */
  get<T = unknown>(key: string): Promise<T | undefined>
  set(key: string, value: unknown): Promise<void>
  delete(key: string): Promise<void>
  /** Keys that begin so, in order. */
  list(prefix?: string): Promise<string[]>
}

type Answer = Extract<ToPlugin, { type: 'state_ok' | 'state_failed' }>
type Question =
  | { type: 'state_get' | 'state_delete'; key: string }
  | { type: 'state_set'; key: string; value: unknown }
  | { type: 'state_list'; prefix?: string }

/** The store over the link. The core answers in the order of our lines, hence after the messages sent before. */
export function coreState(send: Link['send']): State & { answered(record: Answer): void; settled(): Promise<void> } {
  const waiting = new Map<string, PromiseWithResolvers<Answer & { type: 'state_ok' }>>()
  let last = 0

  async function ask(question: Question) {
    const request_id = `s${++last}`
    const answer = Promise.withResolvers<Answer & { type: 'state_ok' }>()
    waiting.set(request_id, answer)
    try {
      await send({ ...question, request_id })
      return await answer.promise
    } finally {
      waiting.delete(request_id)
    }
  }

  return {
    get: async <T>(key: string) => (await ask({ type: 'state_get', key })).value as T ?? undefined,
    set: async (key, value) => void await ask({ type: 'state_set', key, value }),
    delete: async (key) => void await ask({ type: 'state_delete', key }),
    list: async (prefix) => (await ask({ type: 'state_list', ...(prefix ? { prefix } : {}) })).keys ?? [],
    settled: async () => void await ask({ type: 'state_get', key: 'settled' }),
    answered(record) {
      const answer = waiting.get(record.request_id)
      if (record.type === 'state_ok') answer?.resolve(record)
      else answer?.reject(new PluginError(record.code, record.message))
    },
  }
}

/** The store under a core that keeps none: it lasts as long as the process. */
export function memoryState(): State {
  const values = new Map<string, string>()
  return {
    get: <T>(key: string) => Promise.resolve(values.has(key) ? JSON.parse(values.get(key)!) as T : undefined),
    set: (key, value) => Promise.resolve(void values.set(key, JSON.stringify(value))),
    delete: (key) => Promise.resolve(void values.delete(key)),
    list: (prefix = '') => Promise.resolve([...values.keys()].filter((key) => key.startsWith(prefix)).sort()),
  }
}
