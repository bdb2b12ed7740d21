import { CHANNEL_DEFAULTS, type ChannelSettings } from '../../shared/channels.ts'
import type { ChannelDeps } from './deps.ts'

/** The core's part of `channels.<name>`, or of one of Duragent's `gateways.external`; defaults for one in neither. */
export function createSettings(config: ChannelDeps['config']) {
  let from: object | undefined
  let known = new Map<string, ChannelSettings>()

  function named(): typeof known {
    const current = config()
    // Each configuration is an object of its own, and frozen.
    if (from !== current) {
      from = current
      known = new Map(
        (current.gateways?.external ?? []).map((entry) => [entry.name, { ...CHANNEL_DEFAULTS, ...entry }]),
      )
      for (const [key, entry] of Object.entries(current.channels)) known.set(key, { ...CHANNEL_DEFAULTS, ...entry })
    }
    return known
  }

  const settings = (name: string): ChannelSettings => named().get(name) ?? CHANNEL_DEFAULTS
  return Object.assign(settings, { isNamed: (name: string): boolean => named().has(name) })
}
