import type { CommandInfo, CommandResult, Picker } from '../../shared/openagent.ts'
import type { SessionContext, Turn } from '../../shared/sessions.ts'
import type { Approvals } from '../approvals/service.ts'
import { type Caller, demand, type Scope } from '../auth/principal.ts'
import { AppError } from '../errors.ts'
import type { Models } from '../models/service.ts'
import type { PluginCommand } from '../plugins/service.ts'
import type { Sessions } from '../sessions/service.ts'
import type { Log } from '../system/log.ts'
import { createPluginCommands } from './plugin-commands.ts'

export type Commands = ReturnType<typeof createCommands>

export type CommandsDeps = {
  sessions: Sessions
  models: Pick<Models, 'options'>
  approvals: Pick<Approvals, 'list' | 'decide'>
  /** What plugins that run offer beside ours. */
  plugins: () => readonly PluginCommand[]
  version: string
  log: Log
  /** Begins a graceful restart and returns at once. */
  restart(caller: Caller): void | Promise<void>
  now: () => number
}

/**
 * Who asks, and for which conversations: the one that was named, or all that the client has open. `about` tells a
 * plugin more of where it was asked.
 */
export type CommandInput = {
  caller: Caller
  sessions: readonly string[]
  arg: string
  about?: Record<string, string>
}

type Command = Omit<CommandInfo, 'name'> & { scope: Scope; run(input: CommandInput): Promise<CommandResult> }

const EMPTY = 'This conversation is empty.'

/** Time for the answer to reach the client before the server goes down. */
const RESTART_AFTER_MS = 300

/** The commands that clients, channels and the terminal share (spec openagent-api §1.5). */
export function createCommands(deps: CommandsDeps) {
  const { sessions, models, approvals } = deps
  const isOurs = (name: string): boolean => Object.hasOwn(table, name)
  const ofPlugins = createPluginCommands(deps.plugins, isOurs)

  const fresh = (description: string): Command => ({
    ...row('chat', description, 'Stops what runs, empties the queue and forgets the conversation.'),
    async run({ caller, sessions: ids }) {
      for (const id of ids) await sessions.clear(caller, id).catch(ignoreUnknown)
      return { text: ids.length > 1 ? `${ids.length} conversations start anew.` : 'The conversation starts anew.' }
    },
  })

  const decide = (decision: 'allow_once' | 'deny', description: string): Command => ({
    ...row('chat', description, 'Without an id, the question that has waited longest.', { arg_source: 'approvals' }),
    async run({ caller, sessions: ids, arg }) {
      const pending = (await approvals.list(caller, 'pending')).reverse()
      const question = arg
        ? pending.find(({ id }) => id === arg)
        : pending.find(({ session_id }) => ids.includes(session_id))
      if (!question) {
        return { text: arg ? `No question ${arg} waits for an answer.` : 'Nothing waits for your approval.' }
      }
      await approvals.decide(caller, question.id, decision)
      return { text: decision === 'deny' ? `Declined: ${question.tool}` : `Approved once: ${question.tool}` }
    },
  })

  const table: Record<string, Command> = {
    compact: {
      ...row('chat', 'Fold older messages into a summary', 'Frees room in the window of the model.'),
      async run(input) {
        const id = one(input)
        const folded = await sessions.compact(input.caller, id).catch(ignoreUnknown)
        if (!folded) return { text: EMPTY }
        return { text: folded.text, context: await sessions.context(input.caller, id) }
      },
    },
    model: {
      ...row(
        'chat',
        'Choose the model of this conversation',
        'Without a name, shows what there is; "default" unpins.',
        {
          arg_source: 'models',
        },
      ),
      async run(input) {
        const id = one(input)
        if (!input.arg) return { text: 'Choose a model.', picker: await modelPicker(input.caller, id) }
        const model = ['default', 'none', 'reset'].includes(input.arg.toLowerCase()) ? null : input.arg
        // Clients let people choose before the first message makes the session.
        if (model) await sessions.create(input.caller, { session_id: id, model })
        const session = await sessions.update(input.caller, id, { model }).catch(ignoreUnknown)
        return {
          text: session?.model
            ? `This conversation now uses ${session.model}.`
            : 'This conversation uses the default model.',
        }
      },
    },
    new: fresh('Start anew'),
    clear: fresh('Forget the conversation'),
    reset: fresh('Stop, empty the queue and start anew'),
    stop: {
      ...row('chat', 'Stop the running answer', 'What was said so far is kept.'),
      async run({ caller, sessions: ids }) {
        let stopped = 0
        for (const id of ids) {
          if ((await sessions.interrupt(caller, id).catch(ignoreUnknown))?.interrupted) stopped++
        }
        return { text: stopped > 0 ? 'Stopped.' : 'Nothing is running.' }
      },
    },
    status: {
      ...row('read', 'Whether something runs', 'Busy or idle, what waits, and how many conversations are open.'),
      async run({ caller, sessions: ids }) {
        const open = (await Promise.all(ids.map((id) => openTurns(caller, id)))).flat()
        const running = open.filter((turn) => turn.state !== 'queued').length
        const waiting = open.length - running
        const conversations = ids.length === 1 ? '1 conversation' : `${ids.length} conversations`
        return { text: `${running > 0 ? 'Busy' : 'Idle'}. ${waiting} waiting. ${conversations}.` }
      },
    },
    queue: {
      ...row('read', 'What waits for an answer', 'The messages in the order in which they will be answered.'),
      async run({ caller, sessions: ids }) {
        const open = (await Promise.all(ids.map((id) => openTurns(caller, id)))).flat()
        const waiting = open.filter((turn) => turn.state === 'queued')
        if (waiting.length === 0) return { text: 'Nothing waits.' }
        return { text: waiting.map(({ input }, i) => `${i + 1}. ${firstLine(input.text)}`).join('\n') }
      },
    },
    usage: {
      ...row('read', 'What was used this month', 'Model calls, tokens and cost since the first of the month (UTC).'),
      async run({ caller }) {
        const now = new Date(deps.now())
        const spent = await sessions.spent(caller, Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1))
        const cost = spent.cost_usd === null ? 'no price known' : `$${spent.cost_usd.toFixed(4)}`
        const tokens = `${spent.input_tokens} tokens in, ${spent.output_tokens} out`
        return { text: `This month: ${cost}, ${spent.calls} model calls, ${tokens}.` }
      },
    },
    context: {
      ...row('read', 'What fills the window of the model', 'How many tokens each part takes.'),
      async run(input) {
        const context = await sessions.context(input.caller, one(input)).catch(ignoreUnknown)
        return context ? { text: contextText(context), context } : { text: EMPTY }
      },
    },
    update: {
      ...row('admin', 'Look for a new version', 'Says which version runs.'),
      run: () =>
        Promise.resolve({
          text: `Version ${deps.version} runs. Update it the way it was installed, then restart.`,
        }),
    },
    restart: {
      ...row('admin', 'Restart the server', 'Running answers are stopped and kept as far as they came.'),
      run({ caller }) {
        setTimeout(() => void restart(caller), RESTART_AFTER_MS)
        return Promise.resolve({ text: 'Restarting.' })
      },
    },
    approve: decide('allow_once', 'Allow the call that waits'),
    deny: decide('deny', 'Decline the call that waits'),
    help: {
      ...row('read', 'List the commands', 'Every command with what it does.'),
      run: () =>
        Promise.resolve({
          text: list().filter((command) => command.help_visible).map(({ name, description }) =>
            `/${name}: ${description}`
          ).join('\n'),
        }),
    },
  }

  async function restart(caller: Caller): Promise<void> {
    try {
      await deps.restart(caller)
    } catch (error) {
      deps.log.error('system.restart_failed', 'The restart could not begin', { error: String(error) })
    }
  }

  function list(): CommandInfo[] {
    const ours = Object.entries(table).map(([name, { run: _, scope: __, ...info }]) => ({ name, ...info }))
    return [...ours, ...ofPlugins.list()]
  }

  const openTurns = async (caller: Caller, id: string): Promise<Turn[]> =>
    (await sessions.queue(caller, id).catch(ignoreUnknown))?.items ?? []

  async function modelPicker(caller: Caller, id: string): Promise<Picker> {
    const pin = (await sessions.get(caller, id).catch(ignoreUnknown))?.model ?? null
    const options = await models.options()
    const chosen = options.find((option) => option.default)
    return {
      command: 'model',
      prompt: 'Which model should answer here?',
      options: [
        {
          label: 'Automatic',
          value: 'default',
          ...(chosen ? { subtitle: chosen.label } : {}),
          active: pin === null,
        },
        ...options.map(({ runtime_id, label, subtitle }) => ({
          label,
          value: runtime_id,
          subtitle,
          active: pin === runtime_id,
        })),
      ],
    }
  }

  return {
    list,
    knows: (name: string): boolean => isOurs(name) || ofPlugins.knows(name),
    /** Throws `not_found` for an unknown name, `forbidden` without the scope, and what the service behind it throws. */
    async run(name: string, input: CommandInput): Promise<CommandResult> {
      const command = isOurs(name) ? table[name] : undefined
      demand(input.caller, command?.scope ?? 'chat')
      return command ? await command.run(input) : await ofPlugins.run(name, input)
    },
  }
}

const row = (scope: Scope, description: string, help_text: string, more: { arg_source?: string } = {}) => ({
  scope,
  description,
  help_text,
  menu_visible: true,
  help_visible: true,
  arg_source: more.arg_source ?? null,
})

function one({ sessions }: CommandInput): string {
  if (sessions.length === 1) return sessions[0]!
  throw new AppError('invalid_input', 'session_id: is missing; say which conversation is meant')
}

/** A conversation that was never begun has nothing to stop, clear or show. */
export function ignoreUnknown(error: unknown): undefined {
  if (!(error instanceof AppError) || error.code !== 'not_found') throw error
}

const firstLine = (text: string): string => {
  const line = text.trim().split('\n')[0] ?? ''
  return line.length > 120 ? `${line.slice(0, 120)}…` : line
}

/** A block for monospace type. */
function contextText(context: SessionContext): string {
  if (context.sections.length === 0) return EMPTY
  const width = Math.max(...context.sections.map(({ label }) => label.length))
  const lines = context.sections.map(({ label, tokens, pct }) =>
    `${label.padEnd(width)}  ${String(tokens).padStart(8)}  ${pct.toFixed(1).padStart(5)} %`
  )
  return [`${context.model_label ?? context.model ?? ''}, window of ${context.context_window} tokens`, ...lines].join(
    '\n',
  )
}
