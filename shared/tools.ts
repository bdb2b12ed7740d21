import * as v from 'valibot'

export const ToolDecision = v.picklist(['allow', 'ask', 'deny'], 'must be allow, ask or deny')
export type ToolDecision = v.InferOutput<typeof ToolDecision>

/** One rule as it is written. Of several, a deny wins, then the first that matches. */
export const ToolRuleInput = v.strictObject({
  /** Known when it was there before; a new one gets its own. */
  id: v.optional(v.pipe(v.string('must be a text'), v.maxLength(64))),
  decision: ToolDecision,
  /** A tool's name; `*` stands for any characters. All tools when left out. */
  tool: v.optional(
    v.pipe(
      v.string('must be a text'),
      v.regex(/^[\w.:/@*-]{1,128}$/, 'must be the name of a tool; * stands for any characters'),
    ),
    '*',
  ),
  /** CEL over tool, effect, args, session, channel and principal; always when left out. */
  when: v.optional(v.nullable(v.pipe(
    v.string('must be a text'),
    v.trim(),
    v.maxLength(2000, 'must have at most 2000 characters'),
  ))),
  note: v.optional(v.pipe(v.string('must be a text'), v.maxLength(500, 'must have at most 500 characters')), ''),
  /** Ignored: a list may be sent back as it was read. */
  created_by: v.optional(v.string()),
  created_at: v.optional(v.number()),
})
export type ToolRuleInput = v.InferOutput<typeof ToolRuleInput>

const Rules = v.pipe(v.array(ToolRuleInput, 'must be a list'), v.maxLength(200, 'must be at most 200 rules'))

/** Body of `PUT /api/tool-rules`: the whole list, in order. */
export const ToolRulesInput = v.strictObject({ rules: Rules })

/** Body of `POST /api/tool-rules/test`: one rule in front of those in force, or a list in their place. */
export const TestRulesInput = v.strictObject({
  rule: v.optional(ToolRuleInput),
  rules: v.optional(Rules),
  /** Epoch seconds; calls since then. */
  since: v.optional(v.pipe(v.number('must be epoch seconds'), v.minValue(0, 'must be epoch seconds'))),
})
export type TestRulesInput = v.InferOutput<typeof TestRulesInput>

/** Body of `POST /api/tools/{name}/run`. */
export const RunToolInput = v.strictObject({
  arguments: v.optional(v.record(v.string(), v.unknown(), 'must be an object'), {}),
  /** The yes to a call that the gate asks about; only with the scope admin. */
  confirm: v.optional(v.boolean('must be true or false'), false),
})
export type RunToolInput = v.InferOutput<typeof RunToolInput>

export type ToolRule = {
  id: string
  decision: ToolDecision
  tool: string
  when: string | null
  note: string
  created_by: string
  /** Epoch seconds. */
  created_at: number
}

/** A standing yes from the answer to a question, until it is revoked. */
export type ToolGrant = {
  id: string
  tool: string
  /** The only arguments that it covers; null covers all. */
  arguments: Record<string, unknown> | null
  /** The only session that it covers; null covers all. */
  session_id: string | null
  /** In words: `notes.create with any arguments, in every session`. */
  text: string
  created_by: string
  /** Epoch seconds. */
  created_at: number
}

export type ToolRules = { rules: ToolRule[]; grants: ToolGrant[] }

export type VerdictCounts = { allow: number; ask: number; deny: number }

/** What rules would have decided about the calls that were made. */
export type RuleTest = {
  calls: number
  /** Epoch seconds of the oldest call that was looked at; null without one. */
  since: number | null
  /** By the rules in force, and by the tested ones. Grants count for neither. */
  now: VerdictCounts
  after: VerdictCounts
  changed: number
  /** Of the changed ones, newest first. */
  examples: {
    tool: string
    /** Shortened, without secrets. */
    arguments: string
    session_id: string
    at: number
    now: ToolDecision
    after: ToolDecision
    reason: string
  }[]
}

/** A tool as the Tools page shows it. */
export type ToolInfo = {
  name: string
  description: string
  /** `gatehouse`, or what offers it: `mcp:github`. */
  source: string
  effect: 'read' | 'write' | 'execute'
  input_schema: Record<string, unknown>
  /** What holds for a call whose arguments no rule looks at. */
  applies: { decision: ToolDecision; reason: string; by: 'default' | 'tool' | 'rule' | 'grant'; rule_id: string | null }
  /** Rules with a condition that may decide otherwise, in order. */
  conditional: string[]
  calls: { count: number; last_at: number | null; last_state: 'ok' | 'failed' | null }
  /** Whether the model may call it at all; null, or what would switch it on. */
  off: string | null
}

/** Query of `GET /api/tools/{name}/calls`. */
export const ToolCallsQuery = v.object({
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,3}$/, 'must be a number from 1 to 100'),
      v.transform(Number),
      v.minValue(1, 'must be a number from 1 to 100'),
      v.maxValue(100, 'must be a number from 1 to 100'),
    ),
    '20',
  ),
})

/** A call that the agent made, from its conversation. */
export type ToolCall = {
  session_id: string
  session_title: string | null
  turn_id: string
  call_id: string
  /** Shortened, without secrets. */
  arguments: string
  ok: boolean
  duration_ms: number | null
  /** Epoch seconds. */
  at: number
}

export type ToolRun = { ok: boolean; text: string; duration_ms: number; decision: ToolDecision; reason: string }
