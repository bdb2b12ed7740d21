import * as v from 'valibot'
import { ChannelSettings } from '../../shared/channels.ts'

/** Nobody may write: what holds while the settings of a channel can't be understood. */
const CLOSED = v.parse(ChannelSettings, { pairing: false })

/** The core's part of `channels.<name>`, with defaults. */
export function createSettings(section: () => Record<string, unknown>) {
  const known = new WeakMap<object, ChannelSettings>()

  return (name: string): ChannelSettings => {
    const raw = section()[name] ?? NONE
    if (typeof raw !== 'object' || raw === null) return CLOSED
    const before = known.get(raw)
    if (before) return before
    const parsed = v.safeParse(ChannelSettings, raw)
    const settings = parsed.success ? parsed.output : CLOSED
    known.set(raw, settings)
    return settings
  }
}

const NONE = Object.freeze({})
