import { clearTimeout, setTimeout } from 'node:timers'
import { setTimeout as pause } from 'node:timers/promises'
import type { TurnEvent } from '../../shared/turn-events.ts'
import { createSseParser } from '../models/providers/sse-parser.ts'
import type { Client } from './client.ts'
import { CliError, EXIT } from './exit-codes.ts'

export type FollowOptions = {
  /** Offset of the last event that is known. */
  after: number
  signal: AbortSignal
  /** Told when the connection is lost and when it is back. */
  onConnection(state: 'lost' | 'back'): void
}

/** The server sends a heartbeat every five seconds; a stream that is silent for longer than this is dead. */
const SILENCE_MS = 20_000
const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5000

/** Events of a session after an offset, as they come; a stream that drops is resumed where it was. */
export async function* follow(
  client: Client,
  session: string,
  { after, signal, onConnection }: FollowOptions,
): AsyncGenerator<TurnEvent> {
  let wait = FIRST_PAUSE_MS
  let lost = false
  while (!signal.aborted) {
    try {
      for await (const event of readStream(client, session, after, signal, connected)) {
        after = Math.max(after, event.offset)
        yield event
      }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof CliError && error.exitCode !== EXIT.noServer) throw error
    }
    if (!lost) onConnection('lost')
    lost = true
    await pause(wait, undefined, { signal }).catch(() => undefined)
    wait = Math.min(wait * 2, LONGEST_PAUSE_MS)
  }

  function connected(): void {
    wait = FIRST_PAUSE_MS
    if (lost) onConnection('back')
    lost = false
  }
}

async function* readStream(
  client: Client,
  session: string,
  after: number,
  signal: AbortSignal,
  connected: () => void,
): AsyncGenerator<TurnEvent> {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(), SILENCE_MS)
  try {
    const response = await client.request('GET', `/api/sessions/${encodeURIComponent(session)}/events?after=${after}`, {
      signal: AbortSignal.any([signal, silence.signal]),
      headers: { accept: 'text/event-stream' },
    })
    connected()
    const parser = createSseParser()
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      timer.refresh()
      // A `reset` only says that older events are gone; what follows is new.
      for (const { event, data } of parser.push(chunk)) if (event === '') yield JSON.parse(data) as TurnEvent
    }
  } finally {
    clearTimeout(timer)
    silence.abort()
  }
}
