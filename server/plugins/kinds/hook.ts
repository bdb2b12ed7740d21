import * as v from 'valibot'
import { HookDefinition, type HookInput, HookVerdict } from '../../../shared/plugin-hooks.ts'
import { defineKind } from './kind.ts'

/** What waits for one hook at most; what happens meanwhile it does not hear of. */
const MAX_WAITING = 100
const OBSERVE_MS = 10_000

/** A hook that a plugin registered. */
export type RegisteredHook = {
  plugin: string
  event: HookInput['event']
  priority: number
  /** Tells it in order, beside everything else; returns at once. */
  tell(input: HookInput): void
  /** Why it forbids what is asked; rejects when it does not answer, or nonsense. */
  ask(input: HookInput, timeoutMs: number): Promise<string | undefined>
}

/** Something that a plugin wants to hear of. */
export const hook = defineKind({
  definition: HookDefinition,
  isDeclared: (manifest, { event }) => manifest.hooks.includes(event),
  create({ plugin, definition: { name, event, priority }, call, onProblem }): RegisteredHook {
    const waiting: HookInput[] = []
    let busy = false
    let missed = 0

    async function work(): Promise<void> {
      busy = true
      for (let input = waiting.shift(); input; input = waiting.shift()) {
        await call({ method: 'handle', input, timeoutMs: OBSERVE_MS }).catch((error: Error) =>
          onProblem(`its hook ${name} for ${event} failed: ${error.message}`)
        )
      }
      busy = false
      if (missed > 0) onProblem(`its hook ${name} was not told of ${missed} ${event}`)
      missed = 0
    }

    return {
      plugin,
      event,
      priority,
      tell(input) {
        if (waiting.length >= MAX_WAITING) {
          if (missed++ === 0) onProblem(`its hook ${name} is too slow; it is not told of every ${event}`)
          return
        }
        waiting.push(input)
        if (!busy) void work()
      },
      async ask(input, timeoutMs) {
        const parsed = v.safeParse(HookVerdict, await call({ method: 'handle', input, timeoutMs }))
        if (!parsed.success) throw new Error(`its answer makes no sense: ${parsed.issues[0].message}`)
        return parsed.output?.deny
      },
    }
  },
})
