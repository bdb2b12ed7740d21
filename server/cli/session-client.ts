import { randomUUID } from 'node:crypto'
import type { ApprovalDecision } from '../../shared/approvals.ts'
import type { RunMessage, Session, Turn } from '../../shared/sessions.ts'
import type { Client } from './client.ts'
import { CliError } from './exit-codes.ts'

/** One conversation over the API. */
export type SessionClient = {
  id: string
  /** Makes the session unless it is there; resolves with the offset to follow it from. */
  open(): Promise<number>
  /** The last messages, and where the events after them begin: before the turn that is open now. */
  tail(limit: number): Promise<{ messages: RunMessage[]; offset: number; isOpen: boolean }>
  send(text: string, model?: string): Promise<Turn>
  interrupt(): Promise<void>
  decide(approvalId: string, decision: ApprovalDecision): Promise<void>
  turn(id: string): Promise<Turn>
}

type Transcript = { messages: RunMessage[]; offset: number; open: { offset: number; turn_id: string }[] }

/** The verbs of a conversation that the terminal needs. */
export function createSessionClient(client: Client, id: string): SessionClient {
  const path = `/api/sessions/${encodeURIComponent(id)}`
  return {
    id,
    async open() {
      await client.send<Session>('POST', '/api/sessions', { session_id: id })
      return (await client.get<Transcript>(`${path}/messages?limit=1`)).offset
    },
    async tail(limit) {
      const { messages, offset, open } = await client.get<Transcript>(`${path}/messages?limit=${limit}`)
      const openTurns = new Set(open.map((event) => event.turn_id))
      const first = open[0]
      return {
        // Told again by the events that follow.
        messages: messages.filter((message) => !openTurns.has(message.turn_id)),
        offset: first ? Math.min(first.offset - 1, offset) : offset,
        isOpen: first !== undefined,
      }
    },
    send: (text, model) =>
      client.send('POST', `${path}/messages`, { text, ...(model ? { model } : {}) }, {
        headers: { 'idempotency-key': randomUUID() },
      }),
    async interrupt() {
      await client.send('POST', `${path}/interrupt`)
    },
    async decide(approvalId, decision) {
      await client.send('POST', `/api/approvals/${encodeURIComponent(approvalId)}`, { decision }).catch((error) => {
        // Somebody else was first; the event tells who.
        if (!(error instanceof CliError && error.code === 'conflict')) throw error
      })
    },
    turn: (turnId) => client.get(`/api/turns/${encodeURIComponent(turnId)}`),
  }
}
