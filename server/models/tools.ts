import * as v from 'valibot'
import { defineTool } from '../tools/define.ts'
import type { Tool } from '../tools/tool.ts'

type ModelOption = { runtime_id: string; label: string; subtitle?: string }

/** Tools about models: `models.list`. */
export const modelsTools = (models: { options(): Promise<ModelOption[]> }): Tool[] => [
  defineTool({
    name: 'models.list',
    description: 'Lists the models that are connected and can answer, with the id that selects each.',
    effect: 'read',
    input_schema: { type: 'object', properties: {}, additionalProperties: false },
    input: v.strictObject({}),
    run: async () => ({ models: await models.options() }),
  }),
]
