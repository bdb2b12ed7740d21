import type { ToolDecision } from '../../shared/tools.ts'
import { canonicalJson } from '../../shared/canonical-json.ts'
import { fits } from '../../shared/tool-pattern.ts'
import { condition, type Subject } from './cel.ts'
import { type ShellPart, shellParts } from './shell.ts'
import type { Effect, Tool } from './tool.ts'

/** What is needed of a rule to apply it. */
export type Rule = { id: string; decision: ToolDecision; tool: string; when: string | null }
export type Grant = { id: string; tool: string; arguments: string | null; sid: number | null }

/** A verdict with what it rests on. */
export type Ruling = {
  decision: ToolDecision
  reason: string
  by: 'default' | 'tool' | 'rule' | 'grant'
  rule_id: string | null
}

export type Judged = { tool: Pick<Tool, 'name' | 'effect' | 'ask' | 'command'>; subject: Subject; sid: number }

/**
 * Deny wins; then what a tool itself asks for, then a standing yes, then the first rule that matches, then the default.
 * A rule that can't be evaluated never allows: one that denies counts as matched, any other asks.
 * A shell command is judged part by part, and the strictest verdict counts.
 */
export async function ruleOn(call: Judged, rules: readonly Rule[], grants: readonly Grant[]): Promise<Ruling> {
  const { tool, subject } = call
  const mine = rules.filter((rule) => fits(rule.tool, tool.name))
  const command = tool.command === undefined ? undefined : subject.args[tool.command]
  const parts = typeof command === 'string' ? await shellParts(command) : []
  const views = (part: ShellPart): Subject[] => part.spellings.map((text) => withCommand(call, text))

  for (const rule of mine) {
    if (rule.decision !== 'deny') continue
    for (const view of [subject, ...parts.flatMap(views)]) {
      const answer = await evaluate(rule, view)
      if (answer.matches) return ruling(rule, answer.problem ?? 'A rule forbids it.')
    }
  }
  if (tool.ask !== undefined) return { decision: 'ask', reason: tool.ask, by: 'tool', rule_id: null }

  const wanted = canonicalJson(subject.args)
  const grant = grants.find((given) =>
    given.tool === tool.name && (given.sid === null || given.sid === call.sid) &&
    (given.arguments === null || given.arguments === wanted)
  )
  if (grant) return { decision: 'allow', reason: 'You allowed this before.', by: 'grant', rule_id: grant.id }
  if (parts.length === 0) return await first(mine, [subject], tool.effect)

  // A rule may ask about the command as a whole, but only its parts can allow it.
  const rulings = [await first(mine.filter((rule) => rule.decision === 'ask'), [subject], 'read')]
  for (const part of parts) {
    const found = await first(mine, views(part), tool.effect)
    // A rule without a condition allows whatever the command is.
    const whatever = mine.some((rule) => rule.id === found.rule_id && rule.when === null)
    if (part.opaque === undefined || found.decision !== 'allow' || whatever) rulings.push(about(part, found))
    else rulings.push(about(part, { decision: 'ask', reason: part.opaque, by: 'default', rule_id: null }))
  }
  return rulings.find(({ decision }) => decision === 'ask') ?? rulings.at(-1)!
}

/** The verdict of the first rule that matches; the first view is the one that may be allowed, the others only ask. */
async function first(rules: readonly Rule[], views: readonly Subject[], effect: Effect): Promise<Ruling> {
  for (const rule of rules) {
    if (rule.decision === 'deny') continue
    for (const view of rule.decision === 'allow' ? views.slice(0, 1) : views) {
      const answer = await evaluate(rule, view)
      if (answer.problem) return { ...ruling(rule, answer.problem), decision: 'ask' }
      if (answer.matches) return ruling(rule, rule.decision === 'allow' ? 'A rule allows it.' : 'A rule asks about it.')
    }
  }
  return byDefault(effect)
}

/** What holds without any rule: reading is allowed, everything else asks. */
export function byDefault(effect: Effect): Ruling {
  const by = { by: 'default' as const, rule_id: null }
  if (effect === 'read') return { decision: 'allow', reason: 'It only reads.', ...by }
  return {
    decision: 'ask',
    reason: effect === 'write' ? 'It changes your data.' : 'It acts outside of Gatehouse.',
    ...by,
  }
}

async function evaluate(rule: Rule, subject: Subject): Promise<{ matches: boolean; problem?: string }> {
  if (rule.when === null) return { matches: true }
  try {
    return { matches: (await condition(rule.when))(subject) }
  } catch (error) {
    const [line] = (error as Error).message.split('\n')
    return { matches: true, problem: `The rule "${rule.when.slice(0, 200)}" could not be evaluated: ${line}` }
  }
}

const ruling = (rule: Rule, reason: string): Ruling => ({
  decision: rule.decision,
  reason,
  by: 'rule',
  rule_id: rule.id,
})

const about = (part: ShellPart, found: Ruling): Ruling =>
  found.decision === 'allow' ? found : { ...found, reason: `${part.text.slice(0, 200)}: ${found.reason}` }

const withCommand = ({ tool, subject }: Judged, text: string): Subject => ({
  ...subject,
  args: { ...subject.args, [tool.command!]: text },
})
