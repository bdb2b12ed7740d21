import type { Approval } from '../../../../shared/approvals.ts'

/** What a card needs of a call that waits, from the list or from an event of its turn. */
export type Asked = Pick<Approval, 'reason' | 'patterns' | 'expires_at'>

/** `tone` is that of a badge. */
type Words = { label: string; tone: 'neutral' | 'success' | 'warning' | 'destructive' }

const STATES: Record<Approval['state'], Words> = {
  pending: { label: 'Waits', tone: 'warning' },
  allow_once: { label: 'Allowed once', tone: 'success' },
  allow_session: { label: 'Allowed for the session', tone: 'success' },
  allow_always: { label: 'Always allowed', tone: 'success' },
  deny: { label: 'Denied', tone: 'destructive' },
  expired: { label: 'Not answered in time', tone: 'neutral' },
  cancelled: { label: 'Cancelled', tone: 'neutral' },
}
const QUESTION: Partial<typeof STATES> = {
  allow_once: { label: 'Answered', tone: 'success' },
  deny: { label: 'Declined', tone: 'neutral' },
}
const DOORS: Record<NonNullable<Approval['via']>, string> = {
  web: 'on a page',
  ws: 'over WebSocket',
  rest: 'over the API',
  terminal: 'in the terminal',
  duragent: 'by a Duragent client',
  channel: 'in a chat',
  mcp: 'in an MCP client',
}

/** Whether it is a question of the agent's own, to be answered in words. */
export const isQuestion = ({ tool }: Pick<Approval, 'tool'>): boolean => tool === 'ask_user'

/** A state in words; a question is answered, not allowed. */
export const stateWords = ({ tool, state }: Pick<Approval, 'tool' | 'state'>): Words =>
  (isQuestion({ tool }) ? QUESTION[state] : undefined) ?? STATES[state]

/** `by Firefox on Linux, on a page`; empty for what nobody answered. */
export function answeredBy({ state, decided_by, via }: Pick<Approval, 'state' | 'decided_by' | 'via'>): string {
  if (state === 'pending' || state === 'expired' || !decided_by) return ''
  if (state === 'cancelled') return decided_by
  return `by ${decided_by}${via ? `, ${DOORS[via]}` : ''}`
}

const ORIGINS: Record<string, string> = {
  chat: 'a conversation',
  delegation: 'a sub-agent',
  schedule: 'a schedule',
  workflow: 'a workflow',
  channel: 'a chat',
  mcp: 'an MCP client',
}

/** What kind of conversation asks. */
export const originWords = (origin: string): string => ORIGINS[origin] ?? origin

/** `4 min`, of seconds that are left. */
export function remaining(seconds: number): string {
  if (seconds > 5400) return `${Math.round(seconds / 3600)} h`
  return seconds > 90 ? `${Math.round(seconds / 60)} min` : `${seconds} s`
}
