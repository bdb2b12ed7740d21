import type { HookEvent, HookInput } from '../../shared/plugin-hooks.ts'
import type { PluginSettings } from '../../shared/plugin-settings.ts'
import type { Bus, BusEvent } from '../bus/bus.ts'
import type { GateInput } from '../tools/gate.ts'
import type { RegisteredHook } from './kinds/hook.ts'
import type { Roster } from './roster.ts'

/** Characters of a text that hooks are told. */
const MAX_TEXT = 16_000

/**
 * Tells plugins what they wanted to hear of. Whatever a feature publishes as `happened` reaches them; nobody waits for
 * them but the gate, and that not for long.
 */
export function createHooks({ roster, settings, bus, now }: {
  roster: Pick<Roster, 'specs' | 'units' | 'unitOf' | 'journalOf'>
  settings: () => PluginSettings
  bus: Bus
  now: () => number
}) {
  const of = (event: HookEvent): RegisteredHook[] =>
    roster.units().flatMap(({ capabilities }) => capabilities.given('hook')).filter((hook) => hook.event === event)

  const unsubscribe = bus.subscribe((event) => {
    const happened = asHappened(event)
    if (!happened) return
    const { type: _, data, ...about } = happened
    const hooks = of(happened.event)
    if (hooks.length === 0) return
    const input: HookInput = { ...about, at: now() / 1000, data: shortened(data) }
    for (const hook of hooks) hook.tell(input)
  })

  /** Plugins that the owner wants to be asked before a tool runs, and that can't be asked now. */
  const missing = (): string[] =>
    roster.specs()
      .filter(({ name, manifest, enabled, accepted }) =>
        enabled && accepted && manifest?.hooks.includes('tool.before') &&
        !roster.unitOf(name)?.capabilities.given('hook').some(({ event }) => event === 'tool.before')
      )
      .map(({ name }) => name)

  return {
    /**
     * Asks every plugin that wants to be asked before a tool runs, all at once. The reason of one that forbids it;
     * what a plugin says can never allow anything.
     */
    async forbids({ tool, arguments: args, session, turn_id, call_id }: GateInput): Promise<string | undefined> {
      const { hook_timeout_seconds, hook_failure, enabled } = settings()
      if (!enabled) return undefined
      const absent = hook_failure === 'deny' ? missing() : []
      if (absent.length > 0) {
        return `${absent.join(', ')} has to be asked first and is not running; plugins.hook_failure wants it so`
      }
      const hooks = of('tool.before').sort((a, b) => b.priority - a.priority)
      if (hooks.length === 0) return undefined
      const input: HookInput = {
        event: 'tool.before',
        at: now() / 1000,
        handle: session.handle,
        session_id: session.id,
        data: {
          tool: tool.name,
          effect: tool.effect,
          arguments: args,
          turn_id: turn_id ?? '',
          call_id: call_id ?? '',
        },
      }
      const answers = await Promise.all(hooks.map(async (hook) => {
        try {
          const reason = await hook.ask(input, hook_timeout_seconds * 1000)
          return reason === undefined ? undefined : `The plugin ${hook.plugin} forbids it: ${reason}`
        } catch (error) {
          const words = `was asked about ${tool.name} and gave no answer: ${(error as Error).message}`
          roster.journalOf(hook.plugin).incident('error', words)
          return hook_failure === 'deny' ? `The plugin ${hook.plugin} ${words}` : undefined
        }
      }))
      return answers.find((reason) => reason !== undefined)
    },

    stop: unsubscribe,
  }
}

/** A session is told to open pages when it is made; that is the same news. */
function asHappened(event: BusEvent): Extract<BusEvent, { type: 'happened' }> | undefined {
  if (event.type === 'happened') return event
  if (event.type !== 'resource' || event.resource !== 'session' || event.action !== 'created') return undefined
  const { handle = '', id: session_id = '' } = event
  return { type: 'happened', event: 'session.created', handle, session_id, data: {} }
}

const shortened = (data: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(data).map(([name, value]) => [name, typeof value === 'string' ? value.slice(0, MAX_TEXT) : value]),
  )
