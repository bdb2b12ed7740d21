import type { AuditEntry } from '../../../shared/auth.ts'

const NAMES: Record<string, string> = {
  'key.created': 'API key created',
  'key.removed': 'API key revoked',
  'browser.removed': 'Browser signed out',
  'browser.logged_out': 'Signed out',
  'link.created': 'Sign-in link made',
  'login.succeeded': 'Signed in',
  'login.failed': 'Sign-in refused',
  'tool.allowed': 'Call allowed by the rules',
  'tool.asked': 'Call asked about',
  'tool.denied': 'Call denied by the rules',
  'tool.confirmed': 'Call tried and confirmed',
  'tool_rules.changed': 'Rules changed',
  'tool_rules.removed': 'Rule removed',
  'tool_grant.revoked': 'Standing answer revoked',
  'approval.allow_once': 'Allowed once',
  'approval.allow_session': 'Allowed for the session',
  'approval.allow_always': 'Always allowed',
  'approval.deny': 'Denied',
  'approval.expired': 'Not answered in time',
  'approval.cancelled': 'Question cancelled',
}

const WAYS: Record<string, string> = {
  first: 'with the link of the first start',
  login: 'with a link made on the server',
  pairing: 'with a pairing link',
  key: 'with an API key',
}

/** `model.updated` reads as "Model updated". */
export const actionWords = (action: string): string =>
  NAMES[action] ?? (action[0]!.toUpperCase() + action.slice(1).replace(/[._]/g, ' ')).replace(/^Mcp\b/, 'MCP server')

/** What it was done to, in words where the entry has some. */
export function auditAbout({ detail, target }: Pick<AuditEntry, 'detail' | 'target'>): string {
  if (typeof detail.tool === 'string') return detail.tool
  if (typeof detail.name === 'string') return detail.name
  if (typeof detail.runtime_id === 'string') return detail.runtime_id
  if (typeof detail.how === 'string') return WAYS[detail.how] ?? detail.how
  return typeof detail.what === 'string' ? detail.what : /^\d+$/.test(target) ? '' : target
}

/** Who did it; Gatehouse itself where nobody did. */
export const auditActor = (entry: Pick<AuditEntry, 'actor_kind' | 'actor_name' | 'handle'>): string =>
  entry.actor_kind === 'system' ? 'Gatehouse' : entry.actor_name || entry.handle || 'a stranger'
