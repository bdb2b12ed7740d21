/** Seconds' worth of messages that may come at once. */
const BURST_SECONDS = 5
/** Bytes that count as one message more. */
const BYTES_PER_MESSAGE = 8192

export type Pace = {
  /**
   * Counts one message of so many bytes. Answers how long nothing more may be read, in milliseconds; `flood` when the
   * sender was held for so long that it will not stop.
   */
  spend(bytes: number): number | 'flood'
}

/**
 * A token bucket: a plugin that sends more than it may is read more slowly, so that its own pipe holds it. Not by the
 * clock of the day: one that is set back would hold every plugin for as long.
 */
export function createPace(options: {
  perSecond: () => number
  holdMs: () => number
}): Pace {
  const burst = () => options.perSecond() * BURST_SECONDS
  let credit = burst()
  let last = performance.now()
  /** Since when it has been held again and again; 0 when it has not. */
  let heldSince = 0

  return {
    spend(bytes) {
      const now = performance.now()
      credit = Math.min(burst(), credit + (now - last) / 1000 * options.perSecond())
      last = now
      if (credit > burst() / 2) heldSince = 0
      credit -= 1 + Math.floor(bytes / BYTES_PER_MESSAGE)
      if (credit >= 0) return 0
      heldSince ||= now
      if (now - heldSince > options.holdMs()) return 'flood'
      return -credit / options.perSecond() * 1000
    },
  }
}
