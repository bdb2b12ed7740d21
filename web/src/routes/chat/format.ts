/** "12,345", in the reader's own way. */
export const count = (value: number): string => value.toLocaleString()

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

/** "1.2 MB". */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB']
  let unit = 0
  let value = size
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** "14:05", with the day where it was another one. */
export function time(at: number, now = Date.now()): string {
  const date = new Date(at)
  const clock = date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })
  if (date.toDateString() === new Date(now).toDateString()) return clock
  return `${date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })}, ${clock}`
}
