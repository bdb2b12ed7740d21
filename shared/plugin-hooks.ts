import * as v from 'valibot'

/** What a plugin may hear of. Only `tool.before` may answer something; all others are told and forgotten. */
export const HOOK_EVENTS = [
  'session.created',
  'message.received',
  'turn.started',
  'turn.finished',
  'tool.before',
  'tool.after',
] as const

export const HookEvent = v.picklist(HOOK_EVENTS, `must be one of ${HOOK_EVENTS.join(', ')}`)
export type HookEvent = v.InferOutput<typeof HookEvent>

const text = v.string('must be text')

/** `register` with kind `hook`: `handle` is called with `HookInput` at each event. */
export const HookDefinition = v.object({
  name: v.pipe(
    text,
    v.regex(/^[a-z][a-z0-9_]{0,39}$/, 'must begin with a letter and have at most 40 of a–z, 0–9 and _'),
  ),
  event: HookEvent,
  /** Of several that forbid a call, the reason of the highest counts. */
  priority: v.optional(v.pipe(v.number('must be a number'), v.integer('must be a whole number')), 0),
})
export type HookDefinition = v.InferOutput<typeof HookDefinition>

/** What a hook is told. Long texts are cut. */
export type HookInput = {
  event: HookEvent
  /** Epoch seconds. */
  at: number
  /** Whose session it is. */
  handle: string
  session_id: string
  data: Record<string, unknown>
}

/** What `tool.before` answers to forbid the call; nothing, or `deny` left out, leaves it to the rules. */
export const HookVerdict = v.nullish(
  v.object({
    deny: v.optional(v.pipe(text, v.minLength(1, 'must not be empty'), v.maxLength(1000, 'is too long'))),
  }, 'must be a group'),
)
export type HookVerdict = v.InferOutput<typeof HookVerdict>
