import * as v from 'valibot'

export type ApprovalDecision = 'allow_once' | 'allow_session' | 'allow_always' | 'deny'

/** What a standing yes covers: the same call again, or every call of the tool. */
export type ApprovalPattern = {
  kind: 'exact' | 'tool'
  /** The pattern in full, to be shown before the answer: `notes.create with any arguments`. */
  text: string
}

/** The door that an answer came through. */
export type ApprovalVia = 'web' | 'ws' | 'rest' | 'terminal' | 'duragent' | 'channel' | 'mcp'

/** A call that waits, or waited, for a yes. Times are epoch seconds. */
export type Approval = {
  id: string
  session_id: string
  session_title: string | null
  /** What kind of conversation asks: `chat`, `delegation`… */
  origin: string
  /** Name of the one whose message the agent works on. */
  asked_for: string
  turn_id: string
  call_id: string
  tool: string
  /** Frozen when it was asked; what runs is exactly this. */
  arguments: Record<string, unknown>
  reason: string
  /** What `allow_session` and `allow_always` may stand for; the first unless the answer names another. */
  patterns: ApprovalPattern[]
  state: 'pending' | ApprovalDecision | 'expired' | 'cancelled'
  decided_by: string | null
  via: ApprovalVia | null
  /** What the one who answered said of it. */
  decision_reason: string | null
  /** What the standing yes covers; null for other answers. */
  pattern: ApprovalPattern['kind'] | null
  created_at: number
  expires_at: number
  decided_at: number | null
}

/** Body of `POST /api/approvals/{id}`. */
export const DecideInput = v.object({
  decision: v.picklist(
    ['allow_once', 'allow_session', 'allow_always', 'deny'],
    'must be allow_once, allow_session, allow_always or deny',
  ),
  /** Why; kept with the decision, and told to the model when it is a no. */
  reason: v.optional(v.pipe(
    v.string('must be a text'),
    v.trim(),
    v.maxLength(1000, 'must have at most 1000 characters'),
  )),
  /** One of the approval's patterns; for allow_session and allow_always. */
  pattern: v.optional(v.picklist(['exact', 'tool'], 'must be exact or tool')),
})
export type DecideInput = v.InferOutput<typeof DecideInput>

/** Query of `GET /api/approvals`. */
export const ApprovalQuery = v.object({
  state: v.optional(
    v.picklist(
      ['pending', 'answered', 'all', 'allow_once', 'allow_session', 'allow_always', 'deny', 'expired', 'cancelled'],
      'must be pending, answered, all, allow_once, allow_session, allow_always, deny, expired or cancelled',
    ),
    'pending',
  ),
  session_id: v.optional(v.pipe(v.string(), v.maxLength(200))),
  /** A tool's name. */
  tool: v.optional(v.pipe(v.string(), v.maxLength(200))),
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,3}$/, 'must be a number from 1 to 200'),
      v.transform(Number),
      v.minValue(1, 'must be a number from 1 to 200'),
      v.maxValue(200, 'must be a number from 1 to 200'),
    ),
    '200',
  ),
  cursor: v.optional(v.pipe(v.string(), v.maxLength(100))),
})
export type ApprovalQuery = v.InferOutput<typeof ApprovalQuery>
