import type { Approval, ApprovalDecision, DecideInput } from '$shared/approvals.ts'
import { api, type Fetch } from './client.ts'

export type Decision = ApprovalDecision
/** `pattern` is what a standing yes covers; `reason` goes to the agent, and answers a question of its own. */
export type Answer = DecideInput

/** `state` may also be `answered` or `all`. */
export type ApprovalFilter = { state?: string; tool?: string; session_id?: string; limit?: number; cursor?: string }
export type ApprovalPage = { approvals: Approval[]; nextCursor: string | null }

/** Calls that wait for a yes, and how they were answered. */
export const approvals = (fetch?: Fetch) => {
  const client = api(fetch)
  const at = (id: string) => `/api/approvals/${encodeURIComponent(id)}`
  return {
    /** Newest first. */
    list: (query: ApprovalFilter = {}) => client.get<ApprovalPage>('/api/approvals', { query }),
    get: (id: string) => client.get<Approval>(at(id)),
    /** Refused with 409 when somebody was quicker. */
    decide: (id: string, answer: Answer) => client.post<Approval>(at(id), answer),
  }
}
