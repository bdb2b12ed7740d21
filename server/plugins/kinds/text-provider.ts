import { TextProviderDefinition } from '../../../shared/plugin-protocol.ts'
import type { PluginModels } from '../../models/provider.ts'
import { defineKind } from './kind.ts'

/** One answer may take long; how long it may be silent is decided by whoever asks. */
const ANSWER_MS = 60 * 60_000

/** A provider of models, in the one list of providers. */
export const textProvider = defineKind({
  definition: TextProviderDefinition,
  create: ({ plugin, definition: { name, label, models }, call }): PluginModels => ({
    plugin,
    name,
    label,
    models: models.map((model) => ({
      ...Object.fromEntries(Object.entries(model).filter(([, value]) => value !== undefined)),
      id: model.id,
      kind: 'llm',
    })),
    generate: (request, { signal, onPart }) =>
      call({ method: 'generate', input: request, timeoutMs: ANSWER_MS, signal, onChunk: onPart }),
  }),
})
