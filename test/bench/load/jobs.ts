/** What the load generator is asked to do, and what it found; one union for both ends. */
export type Job =
  /** With `json`, each is a POST of it. */
  | { kind: 'requests'; url: string; token?: string; json?: unknown; concurrency: number; seconds: number }
  /** `session` puts each turn through the sessions API, in a new session every `perSession`; else it is posted to `url`. */
  | { kind: 'turns'; url: string; token?: string; concurrency: number; count: number; perSession: number }
  /** Paced streams: `chat` reads a model's own stream, `turn` a session's events. */
  | {
    kind: 'streams'
    how: 'chat' | 'turn'
    url: string
    token?: string
    concurrency: number
    rounds: number
    tokens: number
    gapMs: number
  }
  /** One event to many readers: published by us as a renamed session or a message, or by bare Hono. */
  | {
    kind: 'fanout'
    how: 'bare' | 'resource' | 'turn'
    url: string
    token?: string
    subscribers: number
    rounds: number
  }

export type Result = {
  count: number
  perSecond: number
  /** Milliseconds: of a request, of a turn, to the first token, or until the last reader had an event. */
  p50: number
  p99: number
  /** Milliseconds from the model to the reader, per token. */
  tokenP50?: number
  tokenP99?: number
}

/** Percentile of a list that is sorted here. */
export function percentile(values: number[], share: number): number {
  values.sort((a, b) => a - b)
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN
}
