import { invalidate } from '$app/navigation'
import { navigating, page } from '$app/state'
import { untrack } from 'svelte'

/**
 * Loads what depends on a key again, as `invalidate` does. That drops what it loaded when a navigation came between,
 * if only one that closed a dialog, and the page would go on showing what was before. Does nothing while the server can't
 * be reached, for a load that fails puts an error in the place of the page; the stream tells when it is back.
 */
export async function loadAgain(key: string): Promise<void> {
  for (;;) {
    await untrack(() => navigating.complete)?.catch(() => {})
    if (!await isReachable()) return
    const before = untrack(() => page.url.href)
    await invalidate(key)
    if (untrack(() => navigating.to === null && page.url.href === before)) return
  }
}

const isReachable = (): Promise<boolean> => fetch('/livez').then(() => true, () => false)
