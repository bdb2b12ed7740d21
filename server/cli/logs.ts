import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import type { LogEntry } from '../system/log.ts'
import { cleanLine, safeJson } from './clean.ts'
import { type Command, type Context, text } from './command.ts'
import { CliError, EXIT, usage } from './exit-codes.ts'
import type { Output } from './output.ts'

const POLL_MS = 1000
/** The most that the server keeps in memory. */
const MOST = 2000

export const logs: Command = {
  name: 'logs',
  summary: "The server's log, oldest first; with --json as JSON lines",
  options: {
    follow: { short: 'f', summary: 'Go on as entries come; Ctrl-C ends' },
    lines: { value: 'N', short: 'n', summary: `How many (50; at most ${MOST})` },
    level: { value: 'LEVEL', summary: 'Only this important or more: debug, info, warn, error' },
    event: { value: 'PREFIX', summary: 'Only events that begin so, such as turn.' },
    grep: { value: 'TEXT', summary: 'Only entries with this text' },
  },
  run: async (context) => {
    const lines = text(context, 'lines') ?? '50'
    if (!/^[1-9]\d{0,3}$/.test(lines)) throw usage('--lines must be a number from 1 to 2000')
    const entries = await read(context, Number(lines))
    print(entries, context.out)
    return context.flags.follow ? await follow(context, entries.at(-1)) : EXIT.ok
  },
}

/** Asks again and again, for the log has no stream; entries have no id, so known ones are told by their content. */
async function follow(context: Context, last: LogEntry | undefined): Promise<number> {
  const leaving = new AbortController()
  const onSignal = (): void => leaving.abort()
  process.once('SIGINT', onSignal)
  let newest = last?.ts ?? 0
  let known = new Set(last ? [JSON.stringify(last)] : [])
  while (!leaving.signal.aborted) {
    await pause(POLL_MS, undefined, { signal: leaving.signal }).catch(() => undefined)
    if (leaving.signal.aborted) break
    const entries = await read(context, MOST).catch((error: unknown) => {
      // It may be restarting.
      if (error instanceof CliError && error.exitCode === EXIT.noServer) return []
      throw error
    })
    const fresh = entries.filter((entry) =>
      entry.ts > newest || (entry.ts === newest && !known.has(JSON.stringify(entry)))
    )
    print(fresh, context.out)
    const latest = fresh.at(-1)?.ts
    if (latest === undefined) continue
    known = new Set(entries.filter((entry) => entry.ts === latest).map((entry) => JSON.stringify(entry)))
    newest = latest
  }
  process.off('SIGINT', onSignal)
  return EXIT.interrupted
}

function read(context: Context, lines: number): Promise<LogEntry[]> {
  const query = new URLSearchParams({ lines: String(lines) })
  for (const [flag, name] of [['level', 'level'], ['event', 'event'], ['grep', 'q']] as const) {
    const value = text(context, flag)
    if (value !== undefined) query.set(name, value)
  }
  return context.client.get(`/api/logs?${query}`)
}

function print(entries: LogEntry[], out: Output): void {
  const { dim, red, yellow } = out.style
  const paint = { debug: dim, info: dim, warn: yellow, error: red }
  for (const entry of entries) {
    if (out.json) {
      out.print(safeJson(entry))
      continue
    }
    const { ts, level, event, message, ...fields } = entry
    const time = new Date(ts * 1000).toISOString().slice(11, 23)
    const rest = Object.entries(fields).map(([name, value]) =>
      `${name}=${typeof value === 'string' ? value : safeJson(value)}`
    )
    const line = cleanLine(`${event}  ${message}`)
    out.print(`${dim(time)} ${paint[level](level.padEnd(5))} ${line} ${dim(cleanLine(rest.join(' ')))}`.trimEnd())
  }
}
