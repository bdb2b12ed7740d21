import { createHash } from 'node:crypto'
import type { ApprovalPattern } from '../../shared/approvals.ts'
import { canonicalJson } from '../../shared/canonical-json.ts'
import type { Caller } from '../auth/principal.ts'
import { createRedactor } from '../system/redact.ts'
import type { RuleStore } from './rule-store.ts'
import { ruleOn, type Ruling } from './rules.ts'
import type { Tool } from './tool.ts'

/** What the gate says of one call; `ask` waits for the owner, and `patterns` are what a standing yes may be for. */
export type Verdict = Omit<Ruling, 'by'> & { by: Ruling['by'] | 'plugin'; patterns: ApprovalPattern[] }

export type GateInput = {
  tool: Tool
  arguments: Record<string, unknown>
  caller: Caller
  /** The session that the call belongs to, with the handle whose rules hold; `sid` 0 stands for none. */
  session: { sid: number; id: string; origin: string; handle: string }
  turn_id?: string
  call_id?: string
}

export type Gate = { judge(call: GateInput): Promise<Verdict> }

export type GateDeps = {
  rules: RuleStore
  /** Why a plugin forbids what the rules would let through, or ask about; undefined when none does. */
  forbids?: (call: GateInput) => Promise<string | undefined>
  audit(entry: { caller: Caller; action: string; target: string; detail: Record<string, unknown> }): Promise<void>
}

/**
 * The one place that decides whether a call may run (design §6), by the owner's rules and standing answers, within
 * which plugins may only forbid more.
 * Every decision but a plain yes to reading goes into the audit log before it counts.
 */
export function createGate({ rules, forbids, audit }: GateDeps): Gate {
  return {
    async judge(call) {
      const { tool, session, caller } = call
      const rows = await rules.of(session.handle, session.sid)
      const ruled = await ruleOn(
        { tool, sid: session.sid, subject: subjectOf(call) },
        rows.filter((row) => row.kind === 'rule').map(({ condition, ...row }) => ({ ...row, when: condition })),
        rows.filter((row) => row.kind === 'grant'),
      )
      const forbidden = ruled.decision === 'deny' ? undefined : await forbids?.(call)
      const ruling: Omit<Verdict, 'patterns'> = forbidden === undefined
        ? ruled
        : { decision: 'deny', reason: forbidden, by: 'plugin', rule_id: null }
      if (tool.effect !== 'read' || ruling.by !== 'default') {
        await audit({
          caller,
          action: `tool.${PAST[ruling.decision]}`,
          target: tool.name,
          detail: {
            ...briefly(call.arguments),
            reason: ruling.reason,
            by: ruling.by,
            ...(ruling.rule_id ? { rule: ruling.rule_id } : {}),
            ...(session.id ? { session_id: session.id } : {}),
            ...(call.turn_id ? { turn_id: call.turn_id } : {}),
            ...(call.call_id ? { call_id: call.call_id } : {}),
          },
        })
      }
      return { ...ruling, patterns: patternsOf(tool, call.arguments) }
    },
  }
}

const PAST = { allow: 'allowed', ask: 'asked', deny: 'denied' } as const
const redactor = createRedactor()

/** Arguments as the audit log and back-tests show them: a hash of all, and a short form without secrets. */
export function briefly(args: Record<string, unknown>): { arguments_hash: string; arguments: string } {
  const short = JSON.stringify(redactor.fields(args))
  return {
    arguments_hash: createHash('sha256').update(canonicalJson(args)).digest('hex'),
    arguments: short.length > 300 ? `${short.slice(0, 300)}…` : short,
  }
}

/** What a condition gets to see of a call. */
export const subjectOf = (
  { tool, arguments: args, caller, session }: Pick<GateInput, 'arguments' | 'caller' | 'session'> & {
    tool: Pick<Tool, 'name' | 'effect'>
  },
) => ({
  tool: tool.name,
  effect: tool.effect,
  args,
  session: { id: session.id, origin: session.origin },
  // A caller of a channel is `<channel>:<person>`; the name is the person's.
  channel: caller.kind === 'channel' ? caller.id.split(':')[0]! : '',
  principal: { kind: caller.kind, handle: caller.handle, name: caller.name },
})

/** What acts outside is by itself allowed only as it was asked; a shell, whose words are all it takes, never more. */
function patternsOf(tool: Tool, args: Record<string, unknown>): ApprovalPattern[] {
  const json = canonicalJson(args)
  const command = tool.command === undefined ? undefined : args[tool.command]
  const exact = {
    kind: 'exact' as const,
    text: typeof command === 'string' ? `${tool.name}: exactly ${command}` : `${tool.name} with exactly ${json}`,
  }
  if (tool.command !== undefined) return [exact]
  const any = { kind: 'tool' as const, text: `${tool.name} with any arguments` }
  return tool.effect === 'execute' ? [exact, any] : [any, exact]
}
