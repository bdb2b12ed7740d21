import type { ToolDecision } from '../../../../shared/tools.ts'

/** What the gate says, in words; `tone` is that of a badge. */
export const DECISIONS: Record<ToolDecision, { label: string; tone: 'success' | 'warning' | 'destructive' }> = {
  allow: { label: 'Allow', tone: 'success' },
  ask: { label: 'Ask', tone: 'warning' },
  deny: { label: 'Deny', tone: 'destructive' },
}
