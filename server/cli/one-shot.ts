import process from 'node:process'
import type { Turn } from '../../shared/sessions.ts'
import type { TurnEvent } from '../../shared/turn-events.ts'
import { cleanLine } from './clean.ts'
import type { Client } from './client.ts'
import { EXIT } from './exit-codes.ts'
import { follow } from './follow.ts'
import type { Output } from './output.ts'
import type { SessionClient } from './session-client.ts'
import type { TurnView } from './turn-view.ts'

type Options = {
  client: Client
  session: SessionClient
  text: string
  model?: string | undefined
  view: TurnView
  out: Output
}

/** Asks one thing: the answer goes to stdout, all else to stderr. Ctrl-C stops the turn, a second one the program. */
export async function askOnce({ client, session, text, model, view, out }: Options): Promise<number> {
  const leaving = new AbortController()
  const forced = Promise.withResolvers<number>()
  let turn: Turn | undefined
  let stopping = false
  const onSignal = (): void => {
    if (stopping || !turn) return forced.resolve(EXIT.interrupted)
    stopping = true
    session.interrupt().catch(forced.reject)
  }

  async function answer(): Promise<number> {
    const after = await session.open()
    turn = await session.send(text, model)
    const onConnection = (state: 'lost' | 'back'): void =>
      view.note(out.style.dim(state === 'lost' ? '… the connection is lost, trying again' : '… connected again'))
    for await (const event of follow(client, session.id, { after, signal: leaving.signal, onConnection })) {
      if (event.turn_id !== turn.turn_id) continue
      if (!out.json) view.show(event, { mine: true })
      if (event.type === 'approval') askElsewhere(event)
      if (event.type === 'turn_finished') return await end(event)
    }
    return EXIT.failed
  }

  /** Nobody can be asked here: stdin may be a pipe, and stdout belongs to the answer. */
  function askElsewhere({ approval_id, name }: Extract<TurnEvent, { type: 'approval' }>): void {
    view.note(`${cleanLine(name)} waits for your yes: gatehouse approvals allow ${cleanLine(approval_id)}`)
  }

  async function end(event: Extract<TurnEvent, { type: 'turn_finished' }>): Promise<number> {
    if (out.json) out.show(await session.turn(event.turn_id), () => undefined)
    if (event.state === 'completed') return EXIT.ok
    return event.state === 'interrupted' ? EXIT.interrupted : EXIT.failed
  }

  process.on('SIGINT', onSignal)
  try {
    return await Promise.race([answer(), forced.promise])
  } finally {
    process.off('SIGINT', onSignal)
    leaving.abort()
  }
}
