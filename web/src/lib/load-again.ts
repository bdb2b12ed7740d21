import { invalidate } from '$app/navigation'
import { navigating, page } from '$app/state'
import { untrack } from 'svelte'

/**
 * Loads what depends on a key again, as `invalidate` does. That drops what it loaded when a navigation came between,
 * if only one that closed a dialog, and the page would go on showing what was before.
 */
export async function loadAgain(key: string): Promise<void> {
  for (;;) {
    await untrack(() => navigating.complete)?.catch(() => {})
    const before = untrack(() => page.url.href)
    await invalidate(key)
    if (untrack(() => navigating.to === null && page.url.href === before)) return
  }
}
