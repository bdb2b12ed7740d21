import { setImmediate as nextTurn } from 'node:timers/promises'
import { ulid } from '../db/ulid.ts'
import { canonicalJson } from '../../shared/canonical-json.ts'
import type { RuleTest, TestRulesInput, ToolGrant, ToolRule, ToolRuleInput, ToolRules } from '../../shared/tools.ts'
import { type Caller, demand } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { invalid, notFound } from '../errors.ts'
import { demandMatch, etagOf } from '../http/etag.ts'
import { condition } from './cel.ts'
import { briefly, subjectOf } from './gate.ts'
import type { ToolHistory } from './history.ts'
import type { RuleRow, RuleStore } from './rule-store.ts'
import { type Rule, ruleOn } from './rules.ts'
import type { Tools } from './service.ts'
import type { OffTool, Tool } from './tool.ts'

export type ToolRulesService = ReturnType<typeof createToolRules>

/** A back-test looks at so many calls, and shows so many of those that it would have changed. */
const MOST_CALLS = 2000
const MOST_EXAMPLES = 20
/** Then others get their turn. */
const SLICE_MS = 8

/** The owner's rules about tools: read, replaced as a list, tried on history before they are saved. */
export function createToolRules(deps: {
  store: RuleStore
  history: ToolHistory
  tools: Tools
  /** Those that nobody may call for now: what was called of them is judged as it was then. */
  off: () => readonly OffTool[]
  bus: Bus
  audit(entry: {
    caller?: Caller
    system?: string
    action: string
    target: string
    detail: Record<string, unknown>
  }): Promise<void>
  now: () => number
}) {
  const { store, history, tools, bus, audit, now } = deps
  const changed = ({ handle }: Pick<Caller, 'handle'>) =>
    bus.publish({ type: 'resource', resource: 'tool_rule', action: 'changed', handle })

  async function list(caller: Caller): Promise<{ value: ToolRules; etag: string }> {
    const rows = await store.of(caller.handle)
    const rules = rows.filter((row) => row.kind === 'rule')
    return {
      value: { rules: rules.map(toRule), grants: rows.filter((row) => row.kind === 'grant').map(toGrant) },
      etag: tagOf(rules),
    }
  }

  return {
    list,

    /** Throws `precondition_failed` when `ifMatch` is given and the list is another by now. */
    async replace(caller: Caller, rules: ToolRuleInput[], ifMatch: string | undefined) {
      demand(caller, 'admin')
      await check(rules, (at) => `rules.${at}`)
      const ids = rules.flatMap(({ id }) => id ?? [])
      if (new Set(ids).size < ids.length) throw invalid('rules', 'has one id twice; leave it out of the copy')
      let before: RuleRow[] = []
      const at = now()
      const rows = rules.map((rule, position) => ({ ...rowOf(rule, caller, at), position }))
      await store.replace(caller.handle, rows, (current) => {
        demandMatch(ifMatch, tagOf(current), 'The list of rules')
        before = current
        const known = new Map(current.map((row) => [row.id, row]))
        for (const row of rows) {
          const old = known.get(row.id)
          if (old) Object.assign(row, { created_by: old.created_by, created_at: old.created_at })
          else row.id = ulid()
        }
      })
      await audit({
        caller,
        action: 'tool_rules.changed',
        target: caller.handle,
        detail: { before: before.map(summaryOf), after: rows.map(summaryOf) },
      })
      changed(caller)
      return list(caller)
    },

    /** Revokes a grant, or takes one rule out of the list. */
    async remove(caller: Caller, id: string): Promise<void> {
      demand(caller, 'admin')
      const row = await store.remove(caller.handle, id)
      if (!row) throw notFound('rule', id)
      const args = row.arguments === null ? {} : briefly(JSON.parse(row.arguments) as Record<string, unknown>)
      await audit({
        caller,
        action: row.kind === 'grant' ? 'tool_grant.revoked' : 'tool_rules.removed',
        target: id,
        detail: { rule: summaryOf(row), ...args },
      })
      changed(caller)
    },

    /** Takes back what was allowed of tools that are gone: what comes under their names later is something else. */
    async revoke(tools: readonly string[]): Promise<void> {
      const rows = await store.revoke(tools)
      for (const { id, handle, tool } of rows) {
        const detail = { tool, reason: 'the tool is gone' }
        await audit({ system: handle, action: 'tool_grant.revoked', target: id, detail })
      }
      for (const handle of new Set(rows.map((row) => row.handle))) changed({ handle })
    },

    /** What the rules would have decided about the calls in the log, beside what those in force decide. */
    async test(caller: Caller, input: TestRulesInput): Promise<RuleTest> {
      demand(caller, 'admin')
      if ((input.rule === undefined) === (input.rules === undefined)) throw invalid('rule', 'give either rule or rules')
      if (input.rule) await check([input.rule], () => 'rule')
      if (input.rules) await check(input.rules, (at) => `rules.${at}`)
      const current = (await store.of(caller.handle)).filter((row) => row.kind === 'rule').map(ruleOf)
      const proposed = input.rules?.map(asRule) ?? [asRule(input.rule!, 0), ...current]
      const calls = await history.calls(caller.handle, (input.since ?? 0) * 1000, MOST_CALLS)
      const result: RuleTest = {
        calls: calls.length,
        since: calls.length > 0 ? calls.at(-1)!.at / 1000 : null,
        now: { allow: 0, ask: 0, deny: 0 },
        after: { allow: 0, ask: 0, deny: 0 },
        changed: 0,
        examples: [],
      }
      const off = deps.off().map(({ tool }) => tool)
      let turn = performance.now()
      for (const call of calls) {
        if (performance.now() - turn > SLICE_MS) {
          await nextTurn()
          turn = performance.now()
        }
        const tool = tools.find(call.tool) ?? off.find(({ name }) => name === call.tool) ?? gone(call.tool)
        const session = { ...call.session, handle: caller.handle }
        const judged = {
          tool,
          sid: session.sid,
          subject: subjectOf({ tool, arguments: call.arguments, caller, session }),
        }
        const before = await ruleOn(judged, current, [])
        const after = await ruleOn(judged, proposed, [])
        result.now[before.decision]++
        result.after[after.decision]++
        if (before.decision === after.decision) continue
        result.changed++
        if (result.examples.length >= MOST_EXAMPLES) continue
        result.examples.push({
          tool: call.tool,
          arguments: briefly(call.arguments).arguments,
          session_id: session.id,
          at: call.at / 1000,
          now: before.decision,
          after: after.decision,
          reason: after.reason,
        })
      }
      return result
    },
  }
}

/** A tool that a past call was to and that is no more; nobody knows what it did. */
const gone = (name: string): Tool => ({
  name,
  description: '',
  effect: 'execute',
  input_schema: {},
  run: () => Promise.reject(new Error('this tool is gone')),
})

async function check(rules: readonly ToolRuleInput[], field: (at: number) => string): Promise<void> {
  for (const [at, { when }] of rules.entries()) {
    if (!when) continue
    try {
      await condition(when)
    } catch (error) {
      throw invalid(`${field(at)}.when`, (error as Error).message.split('\n')[0]!)
    }
  }
}

const rowOf = (rule: ToolRuleInput, caller: Caller, at: number): Omit<RuleRow, 'session_id'> => ({
  id: rule.id ?? '',
  handle: caller.handle,
  kind: 'rule',
  position: 0,
  decision: rule.decision,
  tool: rule.tool,
  condition: rule.when || null,
  arguments: null,
  sid: null,
  note: rule.note,
  created_by: caller.name,
  created_at: at,
})

const ruleOf = ({ condition, ...row }: RuleRow): Rule => ({ ...row, when: condition })
const asRule = (rule: ToolRuleInput, at: number): Rule => ({
  id: rule.id ?? `tested ${at + 1}`,
  decision: rule.decision,
  tool: rule.tool,
  when: rule.when || null,
})

const toRule = (row: RuleRow): ToolRule => ({
  id: row.id,
  decision: row.decision,
  tool: row.tool,
  when: row.condition,
  note: row.note,
  created_by: row.created_by,
  created_at: row.created_at / 1000,
})

const toGrant = (row: RuleRow): ToolGrant => ({
  id: row.id,
  tool: row.tool,
  arguments: row.arguments === null ? null : JSON.parse(row.arguments) as Record<string, unknown>,
  session_id: row.session_id,
  text: `${row.tool} with ${row.arguments === null ? 'any arguments' : `exactly ${row.arguments}`}, in ${
    row.session_id === null ? 'every session' : `the session ${row.session_id}`
  }`,
  created_by: row.created_by,
  created_at: row.created_at / 1000,
})

const summaryOf = (row: Omit<RuleRow, 'session_id'>): string =>
  `${row.decision} ${row.tool}${row.condition === null ? '' : ` when ${row.condition}`}`

const tagOf = (rules: readonly RuleRow[]): string => etagOf(canonicalJson(rules.map(toRule)))
