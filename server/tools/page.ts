import { ulid } from '../db/ulid.ts'
import type { RunToolInput, ToolCall, ToolInfo, ToolRun } from '../../shared/tools.ts'
import { fits } from '../../shared/tool-pattern.ts'
import { type Caller, can } from '../auth/principal.ts'
import { AppError, notFound } from '../errors.ts'
import { briefly, type Gate, type GateDeps } from './gate.ts'
import type { ToolHistory } from './history.ts'
import type { RuleRow, RuleStore } from './rule-store.ts'
import { byDefault } from './rules.ts'
import type { Tools } from './service.ts'
import type { OffTool, Tool } from './tool.ts'

export type ToolPage = ReturnType<typeof createToolPage>

const RUN_MS = 120_000

/** What people see of the tools, and how they try one. */
export function createToolPage(deps: {
  tools: Tools
  gate: Gate
  rules: RuleStore
  history: ToolHistory
  /** Those that nobody may call for now; they are listed, so that they are found. */
  off: () => readonly OffTool[]
  audit: GateDeps['audit']
  now: () => number
}) {
  const { tools, gate, now } = deps

  return {
    async list(caller: Caller): Promise<ToolInfo[]> {
      const [rows, calls] = await Promise.all([deps.rules.of(caller.handle), deps.history.lastCalls(caller.handle)])
      const offered = tools.list().map((tool) => ({ tool, off: null }))
      return [...offered, ...deps.off()].map(({ tool, off }) => {
        const last = calls.get(tool.name)
        const mine = rows.filter((row) => row.kind === 'rule' && fits(row.tool, tool.name))
        return {
          name: tool.name,
          description: tool.description,
          source: tool.source ?? 'gatehouse',
          effect: tool.effect,
          input_schema: tool.input_schema,
          applies: appliesTo(tool, mine, rows.filter((row) => row.kind === 'grant' && row.tool === tool.name)),
          conditional: mine.filter((row) => row.condition !== null).map((row) => row.id),
          calls: {
            count: last?.count ?? 0,
            last_at: last ? last.last_at / 1000 : null,
            last_state: last ? last.ok ? 'ok' : 'failed' : null,
          },
          off,
        }
      })
    },

    /** The last calls of the caller's agent to one tool, also to one that is gone; `not_found` for one that never was. */
    async calls(caller: Caller, name: string, limit: number): Promise<ToolCall[]> {
      const known = tools.find(name)?.name ?? deps.off().find(({ tool }) => tool.name === name)?.tool.name
      const calls = await deps.history.callsOf(caller.handle, known ?? name, limit)
      if (known === undefined && calls.length === 0) throw notFound('tool', name)
      return calls
    },

    /** Throws `forbidden` when the gate denies, `conflict` when it asks and nobody entitled confirmed. */
    async run(caller: Caller, name: string, input: RunToolInput, signal: AbortSignal): Promise<ToolRun> {
      const tool = tools.find(name)
      if (!tool) throw notFound('tool', name)
      const call_id = ulid()
      const session = { sid: 0, id: '', origin: 'try', handle: caller.handle }
      const verdict = await gate.judge({ tool, arguments: input.arguments, caller, session, call_id })
      if (verdict.decision === 'deny') throw new AppError('forbidden', `Not allowed: ${verdict.reason}`)
      if (verdict.decision === 'ask') {
        if (!can(caller, 'admin')) {
          throw new AppError('forbidden', `This call is asked about: ${verdict.reason} Only an admin may confirm it.`)
        }
        if (!input.confirm) {
          throw new AppError(
            'conflict',
            `This call is asked about: ${verdict.reason} Send it again with "confirm": true to run it.`,
          )
        }
        const detail = { ...briefly(input.arguments), call_id }
        await deps.audit({ caller, action: 'tool.confirmed', target: tool.name, detail })
      }
      const started = now()
      const context = {
        caller,
        session_id: '',
        turn_id: '',
        call_id,
        signal: AbortSignal.any([signal, AbortSignal.timeout(RUN_MS)]),
      }
      const output = await tools.run(tool, input.arguments, context)
      return { ...output, duration_ms: now() - started, decision: verdict.decision, reason: verdict.reason }
    },
  }
}

/** What holds as long as no rule looks at the arguments or the circumstances. */
function appliesTo(
  tool: Omit<Tool, 'run'>,
  rules: readonly RuleRow[],
  grants: readonly RuleRow[],
): ToolInfo['applies'] {
  const always = rules.filter((row) => row.condition === null)
  const deny = always.find((row) => row.decision === 'deny')
  if (deny) return { decision: 'deny', reason: 'A rule forbids it.', by: 'rule', rule_id: deny.id }
  if (tool.ask !== undefined) return { decision: 'ask', reason: tool.ask, by: 'tool', rule_id: null }
  const grant = grants.find((row) => row.arguments === null && row.sid === null)
  if (grant) return { decision: 'allow', reason: 'You allowed this before.', by: 'grant', rule_id: grant.id }
  const [rule] = always
  if (!rule) return byDefault(tool.effect)
  const reason = rule.decision === 'allow' ? 'A rule allows it.' : 'A rule asks about it.'
  return { decision: rule.decision, reason, by: 'rule', rule_id: rule.id }
}
