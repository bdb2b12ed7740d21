import { AppError } from '../errors.ts'

/**
 * What a principal may do. `admin` includes `read` and `chat`.
 * - `read`: look at sessions, notes, models, usage of its own handle
 * - `chat`: send turns, upload, answer approvals, change its own sessions
 * - `admin`: configuration, providers, keys, logs, restart
 */
export type Scope = 'read' | 'chat' | 'admin'

/** Who calls (design §5). A handle owns sessions; the other fields say through which door it came. */
export type Caller = {
  kind: 'user' | 'key' | 'channel' | 'plugin' | 'schedule'
  /** The handle that owns what this caller creates. */
  handle: string
  /** Id of the key, browser or device; kept in the audit log. */
  id: string
  /** Name to show: "Firefox on Linux", "backup script". */
  name: string
  scopes: ReadonlySet<Scope>
}

/** Whether the caller holds a scope, counting `admin` as all of them. */
export const can = (caller: Caller, scope: Scope): boolean => caller.scopes.has('admin') || caller.scopes.has(scope)

/** Throws `forbidden` and names the scope that is missing. */
export function demand(caller: Caller, scope: Scope): void {
  if (!can(caller, scope)) {
    throw new AppError('forbidden', `This needs the scope "${scope}". Use a key or a browser that has it.`)
  }
}
