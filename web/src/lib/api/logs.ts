import { api, type Fetch } from './client.ts'

export const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type Level = (typeof LEVELS)[number]

/** One entry of the server's log; what belongs to its event stands beside the four that all have. */
export type LogEntry = { ts: number; level: Level; event: string; message: string; [field: string]: unknown }

export type LogQuery = { lines?: number; level?: string; event?: string; q?: string }

export const logs = (fetch?: Fetch) => {
  const client = api(fetch)
  return {
    /** The newest entries that match, oldest first. */
    list: (query: LogQuery, signal?: AbortSignal) =>
      client.get<LogEntry[]>('/api/logs', { query: { lines: 200, ...query }, signal }),
    clear: () => client.delete('/api/logs'),
  }
}
