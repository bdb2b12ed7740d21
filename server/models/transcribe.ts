import type { TokenUsage } from '../../shared/turn-events.ts'
import type { Log } from '../system/log.ts'
import type { Connections } from './connections.ts'
import { measure, type Price } from './measures.ts'
import type { AudioFile } from './provider.ts'

/** What was said, and the model call that told it; a plugin keeps an account of its own. */
export type Transcript = { text: string; call?: TranscriptCall }
export type TranscriptCall = { runtime_id: string; price: Price | null; usage: TokenUsage | null }

/** A plugin that writes down what is said. */
export type PluginSpeech = { transcribe(file: AudioFile, signal: AbortSignal): Promise<string> }

type Listener = { name: string; listen: (signal: AbortSignal) => Promise<Transcript> }

/** One that hangs leaves time to the next. */
const TURN_MS = 30_000

/**
 * Writes down what is said in a file: the plugin that offers it first, then the enabled models of kind `stt` whose
 * endpoints can, each where the one before it failed. Undefined where there is none; throws as the last of them did.
 */
export const createTranscribe = ({ connections, pluginSpeech, log }: {
  connections: Connections
  pluginSpeech?: ((signal: AbortSignal) => Promise<PluginSpeech | undefined>) | undefined
  log: Log
}) => {
  async function listenersTo(file: AudioFile, signal: AbortSignal): Promise<Listener[]> {
    const plugin = await pluginSpeech?.(signal)
    const listeners: Listener[] = plugin
      ? [{ name: 'plugin', listen: async (signal) => ({ text: await plugin.transcribe(file, signal) }) }]
      : []
    const { models, providers } = await connections.rows()
    for (const model of models) {
      if (model.kind !== 'stt' || !model.enabled || !model.provider_enabled) continue
      const row = providers.find(({ id }) => id === model.provider_id)
      const provider = row && await connections.provider(row)
      if (!provider?.transcribe) continue
      const { runtime_id } = model
      const { price } = measure({ provider: row!.name, base_url: row!.base_url, ...model })
      const ask = provider.transcribe.bind(provider)
      listeners.push({
        name: runtime_id,
        listen: async (signal) => {
          const { text, usage } = await ask(model.model, file, signal)
          return { text, call: { runtime_id, price, usage } }
        },
      })
    }
    return listeners
  }

  return async (file: AudioFile, signal: AbortSignal): Promise<Transcript | undefined> => {
    const listeners = await listenersTo(file, signal)
    const last = listeners.pop()
    for (const { name, listen } of listeners) {
      try {
        return await listen(AbortSignal.any([signal, AbortSignal.timeout(TURN_MS)]))
      } catch (error) {
        if (signal.aborted) throw error
        log.warn('models.not_transcribed', 'A recording could not be written down; asking the next that can', {
          by: name,
          error: (error as Error).message,
        })
      }
    }
    return await last?.listen(signal)
  }
}
