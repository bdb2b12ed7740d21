export type ApprovalDecision = 'allow_once' | 'allow_session' | 'allow_always' | 'deny'

/** A call that waits, or waited, for a yes. Times are epoch seconds. */
export type Approval = {
  id: string
  session_id: string
  turn_id: string
  call_id: string
  tool: string
  /** Frozen when it was asked; what runs is exactly this. */
  arguments: Record<string, unknown>
  reason: string
  state: 'pending' | ApprovalDecision | 'expired' | 'cancelled'
  decided_by: string | null
  created_at: number
  expires_at: number
  decided_at: number | null
}
