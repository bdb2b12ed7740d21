import type { Connections } from './connections.ts'
import type { AudioFile } from './provider.ts'

/** Writes down what is said in a file, by the first enabled model of kind `stt` whose endpoint can; else undefined. */
export const createTranscribe =
  ({ connections }: { connections: Connections }) =>
  async (file: AudioFile, signal: AbortSignal): Promise<string | undefined> => {
    const { models, providers } = await connections.rows()
    for (const model of models) {
      if (model.kind !== 'stt' || !model.enabled || !model.provider_enabled) continue
      const row = providers.find(({ id }) => id === model.provider_id)
      const provider = row && await connections.provider(row)
      if (provider?.transcribe) return await provider.transcribe(model.model, file, signal)
    }
    return undefined
  }
