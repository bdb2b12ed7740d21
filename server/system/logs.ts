import { appendFile, readFile, rename, rm, stat } from 'node:fs/promises'
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Log, LogEntry } from './log.ts'
import { createRedactor } from './redact.ts'

export type LogLevel = LogEntry['level']

/** Where the lines for a person, or for a container's collector, go: the process's own stdout. */
export type LogOutput = { isTTY?: boolean; write(text: string): unknown }

export type LogQuery = {
  /** Newest entries that match; 100 when left out. */
  lines?: number
  /** Prefix of the event. */
  event?: string
  /** This level and the more important ones. */
  level?: LogLevel
  /** Text that must appear anywhere in the entry, whatever its case. */
  q?: string
}

export type LogFile = Log & {
  /** Oldest first. */
  recent(query?: LogQuery): Promise<LogEntry[]>
  /** Forgets the entries in memory and on disk. */
  clear(): Promise<void>
  /** Called with each entry as it is written; returns the function that unsubscribes. */
  subscribe(listener: (entry: LogEntry) => void): () => void
  setLevel(level: LogLevel): void
  /** A secret that must never be written. */
  hide(secret: string): void
  /** Writes at once what waits; for the moment before a crash ends the process. */
  flush(): void
  stop(): Promise<void>
}

const LEVELS: LogLevel[] = ['debug', 'info', 'warn', 'error']
/** Bytes at which the file is put aside. */
const ROTATE_AT = 10 * 1024 ** 2
const KEPT_FILES = 5
const RING = 2000
const FLUSH_MS = 200
/** Characters that may wait for a slow disk; what comes on top of it is counted and dropped. */
const MOST_WAITING = 4 * 1024 ** 2

/**
 * JSON lines in `logs/gatehouse.jsonl`, the newest entries in memory, and lines on stdout: readable ones on a
 * terminal, JSON elsewhere. Nothing here throws: a full disk must not stop the server.
 */
export function createLog(
  { home, level = 'info', now = () => new Date(), stdout, rotateAt = ROTATE_AT }: {
    home: string
    level?: LogLevel
    now?: () => Date
    stdout?: LogOutput
    rotateAt?: number
  },
): LogFile {
  const folder = join(home, 'logs')
  const path = join(folder, 'gatehouse.jsonl')
  const redactor = createRedactor()
  const listeners = new Set<(entry: LogEntry) => void>()
  let least = LEVELS.indexOf(level)
  let ring: LogEntry[] = []
  /** Whether the ring begins with what earlier runs left in the file. */
  let remembers = false
  let waiting: string[] = []
  let waitingSize = 0
  let dropped = 0
  let size: number | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let writing: Promise<void> = Promise.resolve()

  const write = (level: LogLevel) => (event: string, message: string, fields: Record<string, unknown> = {}): void => {
    if (LEVELS.indexOf(level) < least) return
    try {
      const entry: LogEntry = {
        ...redactor.fields(fields),
        ts: now().getTime() / 1000,
        level,
        event,
        message: redactor.text(message),
      }
      keep(entry)
      const line = JSON.stringify(inOrder(entry)) + '\n'
      if (stdout) stdout.write(stdout.isTTY ? readable(entry) : line)
      queue(line)
      for (const listener of [...listeners]) listener(entry)
    } catch {
      // A log that can't be written must not harm what it tells of.
    }
  }

  function keep(entry: LogEntry): void {
    ring.push(entry)
    if (ring.length > RING * 1.25) ring = ring.slice(-RING)
  }

  function queue(line: string): void {
    if (waitingSize + line.length > MOST_WAITING) {
      dropped++
      return
    }
    waiting.push(line)
    waitingSize += line.length
    if (timer) return
    timer = setTimeout(() => {
      timer = undefined
      writing = writing.then(drain)
    }, FLUSH_MS)
    timer.unref()
  }

  const take = (): string => {
    const lost: LogEntry = {
      ts: now().getTime() / 1000,
      level: 'warn',
      event: 'log.dropped',
      message: `${dropped} entries could not be written`,
    }
    const text = waiting.join('') + (dropped > 0 ? JSON.stringify(lost) + '\n' : '')
    waiting = []
    waitingSize = 0
    dropped = 0
    return text
  }

  async function drain(): Promise<void> {
    const lines = waiting.length
    const text = take()
    if (text === '') return
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      size ??= await stat(path).then((info) => info.size, () => 0)
      if (size >= rotateAt) await rotate()
      await appendFile(path, text, { mode: 0o600 })
      size += Buffer.byteLength(text)
    } catch {
      dropped += lines
      size = undefined
    }
  }

  async function rotate(): Promise<void> {
    for (let i = KEPT_FILES; i >= 1; i--) {
      await rename(i === 1 ? path : `${path}.${i - 1}`, `${path}.${i}`).catch(() => undefined)
    }
    size = 0
  }

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    const text = take()
    if (text === '') return
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      appendFileSync(path, text, { mode: 0o600 })
      size = undefined
    } catch {
      // Nobody is left to tell.
    }
  }

  /** Puts the entries that earlier runs wrote before those of this one; done when somebody first looks. */
  async function remember(): Promise<void> {
    if (remembers) return
    remembers = true
    const first = ring[0]?.ts ?? Infinity
    const texts = await Promise.all([`${path}.1`, path].map((name) => readFile(name, 'utf8').catch(() => '')))
    const earlier = texts.join('').split('\n').slice(-RING - 1).map(parseLine)
    const old = earlier.filter((entry) => entry !== undefined && entry.ts < first) as LogEntry[]
    ring = [...old, ...ring].slice(-RING)
  }

  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    recent: async ({ lines = 100, event = '', level = 'debug', q = '' } = {}) => {
      await remember()
      const wanted = q.toLowerCase()
      const from = LEVELS.indexOf(level)
      return ring.filter((entry) =>
        entry.event.startsWith(event) && LEVELS.indexOf(entry.level) >= from &&
        (wanted === '' || JSON.stringify(entry).toLowerCase().includes(wanted))
      ).slice(-lines).map(inOrder)
    },
    clear: async () => {
      remembers = true
      ring = []
      take()
      writing = writing.then(async () => {
        const files = [path, ...Array.from({ length: KEPT_FILES }, (_, i) => `${path}.${i + 1}`)]
        await Promise.all(files.map((file) => rm(file, { force: true }).catch(() => undefined)))
        size = undefined
      })
      await writing
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    setLevel: (level) => {
      least = LEVELS.indexOf(level)
    },
    hide: redactor.hide,
    flush,
    stop: async () => {
      clearTimeout(timer)
      await writing
      flush()
    },
  }
}

/** The fixed fields first, for people who read the lines. */
const inOrder = ({ ts, level, event, message, ...fields }: LogEntry): LogEntry => ({
  ts,
  level,
  event,
  message,
  ...fields,
})

function parseLine(line: string): LogEntry | undefined {
  try {
    const entry: LogEntry = JSON.parse(line)
    const whole = typeof entry.ts === 'number' && typeof entry.event === 'string' && LEVELS.includes(entry.level)
    return whole ? entry : undefined
  } catch {
    return undefined
  }
}

const COLOURS: Record<LogLevel, string> = { debug: '90', info: '32', warn: '33', error: '31' }

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g

/** A line for a terminal. Control characters are taken out, lest a message move the cursor or worse. */
function readable({ ts, level, event, message, ...fields }: LogEntry): string {
  const time = new Date(ts * 1000).toTimeString().slice(0, 8)
  const rest = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null).map((
    [name, value],
  ) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const text = `${event}  ${message}${rest.length > 0 ? `  ${rest.join(' ')}` : ''}`
  return `${time} \x1b[${COLOURS[level]}m${level.padEnd(5)}\x1b[0m ${text.replace(CONTROL, '')}\n`
}
