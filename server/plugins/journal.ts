import type { PluginIncident, PluginLogLine } from '../../shared/plugins.ts'
import type { Log } from '../system/log.ts'
import { createRedactor } from '../system/redact.ts'

const LINES = 1000
/** Of each kind, so that a plugin can't push one out of sight by causing many of another. */
const INCIDENTS = 30
/** Of one plugin; the rest is counted. */
const LINES_PER_SECOND = 50
const INCIDENTS_PER_SECOND = 20
const MAX_LINE = 4000

type Level = PluginLogLine['level']

export type Journal = ReturnType<typeof createJournal>

/** What one plugin wrote and what happened to it; also in the server's log, under `plugin.<name>`. */
export function createJournal({ name, log, now }: { name: string; log: Log; now: () => number }) {
  const redactor = createRedactor()
  const listeners = new Set<(line: PluginLogLine) => void>()
  let lines: PluginLogLine[] = []
  let incidents: PluginIncident[] = []
  // So that who reads on after a restart of the server misses nothing.
  let seq = now()
  const mayWrite = budget(LINES_PER_SECOND, 'lines')
  /** One for each kind, so that none is lost among the others, nor among what the plugin writes. */
  const mayHappen = new Map<PluginIncident['kind'], () => boolean>()

  function write(level: Level, given: string): void {
    const at = now() / 1000
    const text = redactor.text(given.slice(0, MAX_LINE))
    const line: PluginLogLine = { seq: ++seq, at, at_iso: new Date(at * 1000).toISOString(), level, text }
    lines.push(line)
    if (lines.length > LINES * 1.25) lines = lines.slice(-LINES)
    log[level](`plugin.${name}`, text)
    for (const listener of [...listeners]) listener(line)
  }

  /** Whether one more may be kept in this second; a flood is counted instead. */
  function budget(perSecond: number, what: string): () => boolean {
    let second = 0
    let count = 0
    return () => {
      const current = Math.floor(now() / 1000)
      if (current !== second) {
        const left = count - perSecond
        second = current
        count = 0
        if (left > 0) write('warn', `(${left} ${what} were left out)`)
      }
      return ++count <= perSecond
    }
  }

  return {
    hide: (secret: string): void => redactor.hide(secret),
    /** The text without what was hidden. */
    redact: (text: string): string => redactor.text(text),

    /** Something that the plugin wrote. */
    line(level: Level, text: string): void {
      if (text.trim() !== '' && mayWrite()) write(level, text)
    },

    /** Something that happened to it. */
    incident(kind: PluginIncident['kind'], message: string): void {
      let may = mayHappen.get(kind)
      if (!may) mayHappen.set(kind, may = budget(INCIDENTS_PER_SECOND, `incidents (${kind})`))
      if (!may()) return
      const at = now() / 1000
      const text = redactor.text(message.slice(0, MAX_LINE))
      incidents.push({ at, at_iso: new Date(at * 1000).toISOString(), kind, message: text })
      const same = incidents.filter((incident) => incident.kind === kind)
      if (same.length > INCIDENTS) incidents = incidents.filter((incident) => incident !== same[0])
      write('warn', `${kind}: ${message}`)
    },

    /** The newest first. */
    incidents: (): PluginIncident[] => incidents.toReversed(),

    /** The oldest first. `after` is from before a restart when it was not given yet: all is new then. */
    read: (after: number, limit: number): PluginLogLine[] =>
      after > 0 && after <= seq ? lines.filter((line) => line.seq > after).slice(0, limit) : lines.slice(-limit),

    /** Returns the function that unsubscribes. */
    subscribe(listener: (line: PluginLogLine) => void): () => void {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
