import type { ApprovalDecision } from '../../shared/approvals.ts'
import { cleanLine } from './clean.ts'
import type { Style } from './output.ts'

const ANSWERS: Record<string, ApprovalDecision> = {
  y: 'allow_once',
  yes: 'allow_once',
  s: 'allow_session',
  session: 'allow_session',
  a: 'allow_always',
  always: 'allow_always',
  n: 'deny',
  no: 'deny',
}

/** The prompt for a call that waits for a yes. */
export const approvalQuestion = ({ name }: { name: string }, { yellow }: Style): string =>
  `${yellow(`Allow ${cleanLine(name)}?`)} [y]es, in this [s]ession, [a]lways, [n]o: `

/** What an answer means; undefined when it is none, and the question is asked again. */
export const decisionOf = (answer: string): ApprovalDecision | undefined => ANSWERS[answer.trim().toLowerCase()]
