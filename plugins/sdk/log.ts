import type { Link } from './link.ts'
import { note } from './stdio.ts'

type Fields = Record<string, unknown>

/** The plugin's own log. Never give it secrets or what people write. */
export type Log = {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const

/** `log` records to a core that reads them; lines on stderr to any other. */
export function createLog(send: Link['send'], known: () => boolean): Log {
  const write = (level: (typeof LEVELS)[number]) => (message: string, fields?: Fields): void => {
    const plain = (): void => note(`${level}: ${message}${fields ? ` ${JSON.stringify(fields)}` : ''}`)
    if (!known()) return plain()
    send({ type: 'log', level, message, ...(fields ? { fields } : {}) }).catch(plain)
  }
  return Object.fromEntries(LEVELS.map((level) => [level, write(level)])) as Log
}
