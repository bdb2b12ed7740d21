/** "12.3k" for meters. */
export const short = (value: number): string =>
  value.toLocaleString(undefined, { notation: 'compact', maximumFractionDigits: 1 })

/** US dollars; small amounts keep enough digits to be told from nothing. */
export function money(usd: number): string {
  const digits = usd === 0 ? 2 : usd < 0.01 ? 5 : usd < 1 ? 3 : 2
  return usd.toLocaleString(undefined, { style: 'currency', currency: 'USD', maximumFractionDigits: digits })
}

/** "340 ms", "2.4 s", "3 min 5 s". */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}

// Made once: each `toLocaleTimeString` makes one anew, which is what scrolling through a long conversation waited for.
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' })

/** "14:05", with the day where it was another one. */
export function time(at: number, now = Date.now()): string {
  const date = new Date(at)
  const today = date.toDateString() === new Date(now).toDateString()
  return today ? CLOCK.format(date) : `${DAY.format(date)}, ${CLOCK.format(date)}`
}
