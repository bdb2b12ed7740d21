import * as v from 'valibot'
import { invalid } from '../errors.ts'
import { defineTool } from './define.ts'
import type { Tool } from './tool.ts'

/** `time.now`: the date and time, in the server's zone or in a named one. */
export function timeTool(now: () => Date = () => new Date()): Tool {
  return defineTool({
    name: 'time.now',
    description: 'The current date, time, weekday and UTC offset, in the time zone of the server or in the named one.',
    effect: 'read',
    input_schema: {
      type: 'object',
      properties: {
        timezone: { type: 'string', description: 'IANA time zone, such as Europe/Berlin, Asia/Tokyo or UTC' },
      },
      additionalProperties: false,
    },
    input: v.strictObject({ timezone: v.optional(v.pipe(v.string(), v.trim(), v.minLength(1), v.maxLength(64))) }),
    run: ({ timezone }) => clock(now(), timezone),
  })
}

/** `at` as people in `timezone` read it. Throws `invalid_input` for a zone that the runtime does not know. */
export function clock(at: Date, timezone?: string) {
  const parts = partsOf(at, timezone)
  const date = `${parts.year}-${parts.month}-${parts.day}`
  const time = `${parts.hour}:${parts.minute}:${parts.second}`
  const minutes = Math.round((Date.parse(`${date}T${time}Z`) - Math.floor(at.getTime() / 1000) * 1000) / 60_000)
  const offset = formatOffset(minutes)
  return {
    timezone: parts.timezone,
    iso: `${date}T${time}${offset}`,
    date,
    time,
    weekday: parts.weekday,
    utc_offset: offset,
    epoch: Math.floor(at.getTime() / 1000),
  }
}

function partsOf(at: Date, timeZone?: string) {
  try {
    // English on purpose: the answer is data for a model, not text for a locale.
    const format = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      hourCycle: 'h23',
      weekday: 'long',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
    const found = Object.fromEntries(format.formatToParts(at).map((part) => [part.type, part.value]))
    return {
      year: found.year ?? '',
      month: found.month ?? '',
      day: found.day ?? '',
      hour: found.hour ?? '',
      minute: found.minute ?? '',
      second: found.second ?? '',
      weekday: found.weekday ?? '',
      // Runtimes disagree on the canonical name (Asia/Calcutta or Asia/Kolkata): say what was asked.
      timezone: timeZone ?? format.resolvedOptions().timeZone,
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw invalid('timezone', `"${timeZone}" is not a known time zone; use an IANA name such as Europe/Berlin or UTC`)
  }
}

function formatOffset(minutes: number): string {
  const size = Math.abs(minutes)
  const pad = (value: number) => String(value).padStart(2, '0')
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}:${pad(size % 60)}`
}
