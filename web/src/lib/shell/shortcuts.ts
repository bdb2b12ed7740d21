import { goto } from '$app/navigation'
import { NAVIGATION } from './nav.ts'
import type { Shell } from './shell.svelte.ts'

/** The second key of a pair must follow within this time, in milliseconds. */
const PAIR_WINDOW = 1200

/** Handles the keys that work on every page; returns the listener for `keydown`. */
export function createShortcuts(shell: Shell): (event: KeyboardEvent) => void {
  // Not 0, for the first second of a page would count as a pair.
  let goAt = -Infinity
  return (event) => {
    if ((event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k') {
      event.preventDefault()
      shell.palette = !shell.palette
      return
    }
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return
    if (document.querySelector('[role=dialog], [role=alertdialog], [role=menu], [role=listbox]')) return
    if (event.key === '?') {
      shell.shortcuts = true
    } else if (event.key === 'g') {
      goAt = event.timeStamp
      return
    } else if (event.timeStamp - goAt < PAIR_WINDOW) {
      const item = NAVIGATION.flatMap((group) => group.items).find(({ key }) => key === event.key)
      if (item) void goto(item.href)
    } else {
      return
    }
    goAt = -Infinity
    event.preventDefault()
  }
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement &&
    (target.isContentEditable || target.closest('input, textarea, select') !== null)
}
