import type { PluginIncident, PluginLogLine } from '../../shared/plugins.ts'
import type { Log } from '../system/log.ts'
import { createRedactor } from '../system/redact.ts'

const LINES = 1000
const INCIDENTS = 50
/** Lines of one plugin that are kept in a second; the rest is counted. */
const LINES_PER_SECOND = 50
const MAX_LINE = 4000

type Level = PluginLogLine['level']

export type Journal = ReturnType<typeof createJournal>

/** What one plugin wrote and what happened to it; also in the server's log, under `plugin.<name>`. */
export function createJournal({ name, log, now }: { name: string; log: Log; now: () => number }) {
  const redactor = createRedactor()
  const listeners = new Set<(line: PluginLogLine) => void>()
  let lines: PluginLogLine[] = []
  let incidents: PluginIncident[] = []
  let seq = 0
  let second = 0
  let count = 0

  function write(level: Level, given: string): void {
    const at = now() / 1000
    const text = redactor.text(given.slice(0, MAX_LINE))
    const line: PluginLogLine = { seq: ++seq, at, at_iso: new Date(at * 1000).toISOString(), level, text }
    lines.push(line)
    if (lines.length > LINES * 1.25) lines = lines.slice(-LINES)
    log[level](`plugin.${name}`, text)
    for (const listener of [...listeners]) listener(line)
  }

  /** Whether a line may be written; a flood of them is counted instead. */
  function admitted(): boolean {
    const current = Math.floor(now() / 1000)
    if (current !== second) {
      const left = count - LINES_PER_SECOND
      second = current
      count = 0
      if (left > 0) write('warn', `(${left} lines were left out)`)
    }
    return ++count <= LINES_PER_SECOND
  }

  return {
    hide: (secret: string): void => redactor.hide(secret),

    /** Something that the plugin wrote. */
    line(level: Level, text: string): void {
      if (text.trim() !== '' && admitted()) write(level, text)
    },

    /** Something that happened to it. */
    incident(kind: PluginIncident['kind'], message: string): void {
      if (!admitted()) return
      const at = now() / 1000
      const text = redactor.text(message.slice(0, MAX_LINE))
      incidents.push({ at, at_iso: new Date(at * 1000).toISOString(), kind, message: text })
      if (incidents.length > INCIDENTS) incidents = incidents.slice(-INCIDENTS)
      write('warn', `${kind}: ${message}`)
    },

    /** The newest first. */
    incidents: (): PluginIncident[] => incidents.toReversed(),

    /** The oldest first. */
    read: (after: number, limit: number): PluginLogLine[] =>
      after > 0 ? lines.filter((line) => line.seq > after).slice(0, limit) : lines.slice(-limit),

    /** Returns the function that unsubscribes. */
    subscribe(listener: (line: PluginLogLine) => void): () => void {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
