import type { CommandInfo, CommandResult } from '../../shared/openagent.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError, notFound } from '../errors.ts'
import { GatewayError, type PluginCommand } from '../plugins/service.ts'

/** Commands that running plugins offer, except those whose names are our own; of two with one name the first counts. */
export function createPluginCommands(
  offered: () => readonly PluginCommand[],
  isOurs: (name: string) => boolean,
) {
  const find = (name: string): PluginCommand | undefined =>
    isOurs(name) ? undefined : offered().find((command) => command.name === name)

  return {
    knows: (name: string): boolean => find(name) !== undefined,

    list: (): CommandInfo[] =>
      offered().filter((command) => find(command.name) === command).map(({ name, description, plugin, effect }) => ({
        name,
        description,
        help_text: `Answered by the plugin ${plugin}, without the model.`,
        menu_visible: true,
        help_visible: true,
        arg_source: null,
        plugin,
        effect,
      })),

    /** `about` says where it was asked; the plugin is told. */
    async run(
      name: string,
      { caller, sessions, arg, about = {} }: {
        caller: Caller
        sessions: readonly string[]
        arg: string
        about?: Record<string, string> | undefined
      },
    ): Promise<CommandResult> {
      const command = find(name)
      if (!command) throw notFound('command', name)
      const where: Record<string, string> = sessions.length === 1 ? { session_id: sessions[0]! } : {}
      try {
        return { text: await command.run(arg, { handle: caller.handle, ...where, ...about }) }
      } catch (error) {
        if (!(error instanceof GatewayError)) throw error
        const doubt = error.sent && DOUBTFUL.has(error.code) ? ' Whether it did something is not known.' : ''
        throw new AppError('bad_gateway', `The plugin ${command.plugin} could not do this: ${error.message}.${doubt}`, {
          cause: error,
        })
      }
    },
  }
}

const DOUBTFUL = new Set(['timeout', 'gone'])
