import type { Model, ModelOption } from '../../shared/models.ts'
import type { Command } from './command.ts'

/** `gatehouse models …`. */
export const modelCommands: Command[] = [
  {
    name: 'models list',
    alias: 'models',
    summary: 'Models that were added',
    run: async ({ client, out }) => {
      const answer = await client.get<{ models: Model[] }>('/api/models')
      out.show(answer, () => {
        const rows = answer.models.map((model) => [
          model.is_classifier ? '*' : '',
          model.runtime_id,
          model.kind,
          model.enabled && model.provider_enabled ? 'on' : 'off',
          model.context_window,
          model.display_name,
        ])
        out.table(['', 'MODEL', 'KIND', 'STATE', 'WINDOW', 'NAME'], rows, 'No models. The built-in assistant answers.')
      })
    },
  },
  {
    name: 'models options',
    summary: 'What --model may be, and which one answers without it',
    run: async ({ client, out }) => {
      const answer = await client.get<{ options: ModelOption[] }>('/api/models/options')
      out.show(answer, () => {
        const rows = answer.options.map((option) => [
          option.default ? '*' : '',
          option.runtime_id,
          option.label,
          option.subtitle,
        ])
        out.table(['', 'MODEL', 'NAME', ''], rows, 'No models.')
      })
    },
  },
]
