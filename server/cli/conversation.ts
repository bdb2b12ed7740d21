import process from 'node:process'
import type { ApprovalDecision } from '../../shared/approvals.ts'
import type { TurnEvent } from '../../shared/turn-events.ts'
import type { Client } from './client.ts'
import { CliError, EXIT } from './exit-codes.ts'
import { follow } from './follow.ts'
import type { Line, Lines } from './lines.ts'
import type { Output } from './output.ts'
import type { SessionClient } from './session-client.ts'
import type { SlashCommands } from './slash-commands.ts'
import { approvalQuestion, decisionOf } from './approval-question.ts'
import type { TurnView } from './turn-view.ts'

export type ConversationOptions = {
  client: Client
  session: SessionClient
  lines: Lines
  view: TurnView
  out: Output
  commands: SlashCommands
  model?: string | undefined
  /** Where to follow a session from that is there already; a new one is made by the first message. */
  from?: { offset: number; isOpen: boolean }
}

type Approval = Extract<TurnEvent, { type: 'approval' }>

/**
 * Talks in one session until the person leaves, and shows all that happens in it, whoever began it. A line is asked
 * for only while no turn is open; the prompt steps aside when somebody else's turn begins.
 */
export async function converse(options: ConversationOptions): Promise<number> {
  const { client, session, lines, view, out, commands } = options
  const open = new Set<string>()
  const finished = new Set<string>()
  const mine = new Set<string>()
  const approvals = new Map<string, Approval>()
  const leaving = new AbortController()
  let changed = Promise.withResolvers<void>()
  let reading: AbortController | undefined
  let sending: TurnEvent[] | undefined
  let stopping = false
  let following = false
  /** Until its events tell more, the turn that is open when we come keeps the prompt away. */
  let catchingUp = options.from?.isOpen ?? false
  let failure: unknown

  const wake = (): void => {
    changed.resolve()
    changed = Promise.withResolvers()
  }

  function take(event: TurnEvent): void {
    // Whose turn it is, is known when the server has answered.
    if (sending) return void sending.push(event)
    const { turn_id } = event
    catchingUp = false
    if (event.type === 'turn_finished') {
      open.delete(turn_id)
      finished.add(turn_id)
      stopping = false
    } else open.add(turn_id)
    if (event.type === 'approval') approvals.set(event.approval_id, event)
    if (event.type === 'approval_decided') approvals.delete(event.approval_id)
    reading?.abort()
    view.show(event, { mine: mine.has(turn_id) })
    wake()
  }

  async function followFrom(after: number): Promise<void> {
    following = true
    const onConnection = (state: 'lost' | 'back'): void => {
      reading?.abort()
      view.note(out.style.dim(state === 'lost' ? '… the connection is lost, trying again' : '… connected again'))
    }
    try {
      for await (const event of follow(client, session.id, { after, signal: leaving.signal, onConnection })) take(event)
    } catch (error) {
      failure = error
      reading?.abort()
      wake()
    }
  }

  /** Makes the session and follows it, unless that is done. */
  async function prepare(): Promise<void> {
    if (!following) void followFrom(await session.open())
  }

  async function send(text: string): Promise<void> {
    sending = []
    try {
      await prepare()
      const turn = await session.send(text, options.model)
      mine.add(turn.turn_id)
      if (!finished.has(turn.turn_id)) open.add(turn.turn_id)
    } finally {
      const held = sending
      sending = undefined
      held.forEach(take)
    }
  }

  /** What goes wrong with one request is told; the conversation goes on. */
  const attempt = (work: Promise<unknown>): Promise<void> =>
    work.then(() => undefined, (error: unknown) => {
      if (!(error instanceof CliError)) throw error
      view.note(out.style.red(error.message))
    })

  async function stopTurn(): Promise<void> {
    stopping = true
    view.note(out.style.dim('stopping… (Ctrl-C again leaves)'))
    await attempt(session.interrupt())
  }

  async function ask(prompt: string): Promise<Line> {
    reading = new AbortController()
    view.freshLine()
    const line = await lines.read(prompt, reading.signal)
    reading = undefined
    return line
  }

  const interrupted = Promise.withResolvers<number>()
  const onSignal = (): void => {
    if (lines.interrupt()) return
    if (stopping || open.size === 0) return interrupted.resolve(EXIT.interrupted)
    void stopTurn()
  }

  async function talk(): Promise<number> {
    let warned = false
    for (;;) {
      if (failure) throw failure
      const next = changed.promise
      const approval = [...approvals.values()][0]
      if (catchingUp || (open.size > 0 && !approval)) {
        await next
        continue
      }
      const line = await ask(approval ? approvalQuestion(approval, out.style) : out.style.bold('> '))
      if (line.type === 'aborted') continue
      if (line.type === 'end') return EXIT.ok
      if (line.type === 'interrupt') {
        if (approval) await stopTurn()
        else if (warned) return EXIT.interrupted
        else view.note(out.style.dim('Press Ctrl-C again to leave, or type /exit'))
        warned = !approval
        continue
      }
      warned = false
      const text = line.text.trim()
      if (approval) {
        const decision = decisionOf(text)
        // One whose answer did not arrive is asked again.
        const decide = async (decision: ApprovalDecision): Promise<void> => {
          await session.decide(approval.approval_id, decision)
          approvals.delete(approval.approval_id)
        }
        if (decision) await attempt(decide(decision))
      } else if (commands.isLeave(text)) return EXIT.ok
      else if (commands.matches(text)) await attempt(commands.run(text, prepare))
      else if (text !== '') await attempt(send(line.text))
    }
  }

  process.on('SIGINT', onSignal)
  try {
    if (options.from) void followFrom(options.from.offset)
    return await Promise.race([talk(), interrupted.promise])
  } finally {
    leaving.abort()
    process.off('SIGINT', onSignal)
    lines.close()
  }
}
