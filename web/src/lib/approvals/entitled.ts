import { page } from '$app/state'
import type { Me } from '$shared/auth.ts'

/** Why this browser may not answer; undefined when it may. */
export function refusal(): string | undefined {
  const me = page.data.me as Me | undefined
  if (!me || me.scopes.includes('chat') || me.scopes.includes('admin')) return undefined
  return 'This browser may only look; it needs the right “chat”'
}
