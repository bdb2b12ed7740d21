const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

/** `1.4 GB`; decimal units, as disks and networks count. */
export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(value) / 3))
  const scaled = value / 1000 ** power
  return `${scaled.toFixed(power === 0 || scaled >= 100 ? 0 : 1)} ${UNITS[power]}`
}

export const percent = (value: number): string => `${Math.round(value)} %`

// Made once: making one costs far more than using it, and a page may show hundreds.
const NUMBER = new Intl.NumberFormat()
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
const CLOCK = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })
const DATE_TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' })

export const number = (value: number): string => NUMBER.format(value)

/** `2 d 4 h`, `3 min 20 s`: the two largest units of a time in seconds. */
export function duration(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
  const whole = Math.round(seconds)
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`).join(
    ' ',
  )
}

const STEPS: [number, Intl.RelativeTimeFormatUnit][] = [
  [60, 'second'],
  [3600, 'minute'],
  [86_400, 'hour'],
  [86_400 * 14, 'day'],
  [86_400 * 60, 'week'],
  [86_400 * 730, 'month'],
  [Infinity, 'year'],
]
const SECONDS: Partial<Record<Intl.RelativeTimeFormatUnit, number>> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86_400,
  week: 604_800,
  month: 2_629_800,
  year: 31_557_600,
}

/** `3 hours ago`, `in 2 days`; both times in epoch seconds. */
export function relative(at: number, now: number = Date.now() / 1000): string {
  const distance = at - now
  if (Math.abs(distance) < 10) return 'just now'
  const unit = STEPS.find(([limit]) => Math.abs(distance) < limit)![1]
  return RELATIVE.format(Math.round(distance / SECONDS[unit]!), unit)
}

/** `21 Nov 2026, 22:04`, of epoch seconds. */
export const dateTime = (at: number): string => DATE_TIME.format(at * 1000)

/** `22:04:59.123`, of epoch seconds. */
export function clock(at: number): string {
  const date = new Date(at * 1000)
  const milliseconds = String(date.getMilliseconds()).padStart(3, '0')
  return `${CLOCK.format(date)}.${milliseconds}`
}
