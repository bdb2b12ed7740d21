import { setTimeout as sleep } from 'node:timers/promises'
import type { Given, UsedKind } from './kinds/kinds.ts'
import type { Roster } from './roster.ts'

/** A plugin that is ready registers at once. */
const READY_MS = 1000
/** Nobody waits longer for one that starts. */
const STARTING_MS = 10_000
const LOOK_MS = 20

/**
 * The first registration of a kind. Just after the start of the server, or of a plugin, one that is about to come is
 * waited for: what was left by a stop is taken up before plugins run.
 */
export function createFirst({ roster, given }: {
  roster: Pick<Roster, 'isKnown' | 'specs' | 'unitOf'>
  given: <K extends UsedKind>(kind: K) => Given<K>[]
}) {
  return async function first<K extends UsedKind>(kind: K, signal: AbortSignal): Promise<Given<K> | undefined> {
    const began = performance.now()
    for (let seen = began;;) {
      const [found] = given(kind)
      if (found) return found
      const at = performance.now()
      const able = roster.specs().filter(({ enabled, accepted, manifest }) =>
        enabled && accepted && manifest?.capabilities.includes(kind)
      )
      if (roster.isKnown() && able.length === 0) return undefined
      if (!roster.isKnown() || able.some(({ name }) => roster.unitOf(name)?.supervisor.state === 'starting')) seen = at
      if (at - seen > READY_MS || at - began > STARTING_MS) return undefined
      await sleep(LOOK_MS, undefined, { signal })
    }
  }
}
