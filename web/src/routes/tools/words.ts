import type { ToolInfo } from '../../../../shared/tools.ts'
import { DECISIONS } from '../../lib/approvals/decisions.ts'
import { decisionOf } from './filter.ts'

/** What a call changes, in words. */
export const EFFECTS: Record<ToolInfo['effect'], string> = {
  read: 'reads',
  write: 'changes data',
  execute: 'acts outside',
}

/** What the list says of a tool; `tone` is that of a badge. */
export function decisionBadge(
  tool: ToolInfo,
): { label: string; tone: 'neutral' | 'success' | 'warning' | 'destructive' } {
  const decision = decisionOf(tool)
  return decision === 'off' ? { label: 'Off', tone: 'neutral' } : DECISIONS[decision]
}
