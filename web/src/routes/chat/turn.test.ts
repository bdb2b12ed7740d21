import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { RunMessage } from '../../../../shared/sessions.ts'
import type { TurnEvent, TurnEventBody } from '../../../../shared/turn-events.ts'
import { applyEvent, emptyTurn, textOf, type Turn, turnsOf } from './turn.ts'

function play(...bodies: TurnEventBody[]): Turn {
  const turn = emptyTurn('t1', 1000)
  bodies.forEach((body, index) => {
    const event: TurnEvent = {
      v: 1,
      offset: index + 1,
      session_id: 's',
      turn_id: 't1',
      at: 1000 + index * 100,
      ...body,
    }
    applyEvent(turn, event)
  })
  return turn
}

const started: TurnEventBody = { type: 'turn_started', input: { text: 'Hi' }, model: 'm' }
const call: TurnEventBody = { type: 'tool_call', call_id: 'c1', name: 'notes.search', arguments: { q: 'x' } }
const approval: TurnEventBody = {
  ...{ type: 'approval', approval_id: 'a1', call_id: 'c1', name: 'notes.search', arguments: { q: 'x' } },
  ...{ reason: 'It writes', expires_at: 99 },
}
const done = (text: string): TurnEventBody => ({ type: 'turn_finished', state: 'completed', text, model: 'm' })

describe('a turn from its events', () => {
  it('joins deltas, and keeps text before and after a call apart', () => {
    const turn = play(
      started,
      { type: 'text', delta: 'Let me ' },
      { type: 'text', delta: 'look.' },
      call,
      { type: 'tool_result', call_id: 'c1', name: 'notes.search', ok: true, result: 'found', duration_ms: 5 },
      { type: 'text', delta: 'Done.' },
      done('Done.'),
    )
    assert.deepEqual(turn.parts.map((part) => part.kind), ['text', 'tool', 'text'])
    assert.equal(textOf(turn), 'Let me look.\n\nDone.')
    assert.equal(turn.state, 'completed')
    assert.equal(turn.parts[1]!.kind === 'tool' && turn.parts[1]!.result, 'found')
  })

  it('shows the newest progress of a call until its result is there', () => {
    const progress = (done: number): TurnEventBody => ({
      ...{ type: 'tool_progress', call_id: 'c1', progress: done, total: 10, message: `page ${done}` },
    })
    const [running] = play(started, call, progress(2), progress(7)).parts
    assert.deepEqual(running!.kind === 'tool' && running!.progress, { progress: 7, total: 10, message: 'page 7' })
    const result: TurnEventBody = {
      ...{ type: 'tool_result', call_id: 'c1', name: 'notes.search', ok: true, result: 'found', duration_ms: 5 },
    }
    const [ended] = play(started, call, progress(7), result, progress(8)).parts
    assert.equal(ended!.kind === 'tool' && ended!.progress, null)
  })

  it('shows the final text without markers in place of the streamed one, and no text twice', () => {
    const marked = play(started, { type: 'text', delta: 'Here [FILE:/a]' }, done('Here'))
    assert.equal(textOf(marked), 'Here')
    const twoSteps = play(
      started,
      { type: 'text', delta: 'One' },
      call,
      { type: 'text', delta: 'Two' },
      done('One\n\nTwo'),
    )
    assert.equal(textOf(twoSteps), 'One\n\nTwo')
    const unstreamed = play(started, done('Only this'))
    assert.equal(textOf(unstreamed), 'Only this')
  })

  it('waits for a decision, and goes on when it is taken', () => {
    const asking = play(started, call, approval)
    assert.equal(asking.state, 'awaiting_approval')
    assert.equal(asking.parts.length, 1)
    const decided = play(started, call, approval, {
      ...{ type: 'approval_decided', approval_id: 'a1', call_id: 'c1', decision: 'deny', by: 'owner' },
    })
    assert.equal(decided.state, 'running')
    assert.equal(decided.parts[0]!.kind === 'tool' && decided.parts[0]!.approval?.decision, 'deny')
  })

  it('measures how long it thought, and stops thinking with the first word', () => {
    const turn = play(started, { type: 'reasoning', delta: 'Hm' }, { type: 'reasoning', delta: '…' }, {
      ...{ type: 'text', delta: 'Yes' },
    })
    assert.deepEqual(turn.parts[0], { kind: 'reasoning', key: '2', text: 'Hm…', since: 1100, until: 1300 })
  })

  it('shows a pending retry only until something comes of it', () => {
    const retry: TurnEventBody = {
      type: 'retry',
      attempt: 1,
      after_ms: 2000,
      reason: 'Overloaded.',
      class: 'overloaded',
    }
    assert.deepEqual(play(started, retry).parts.map((part) => part.kind), ['retry'])
    assert.deepEqual(play(started, retry, { type: 'text', delta: 'A' }).parts.map((part) => part.kind), ['text'])
  })

  it('keeps what was written when it fails, with the reason', () => {
    const turn = play(started, { type: 'text', delta: 'Half' }, {
      ...{ type: 'turn_finished', state: 'failed', text: 'Half', model: 'm' },
      error: { class: 'network', message: 'cut' },
    })
    assert.equal(textOf(turn), 'Half')
    assert.deepEqual(turn.error, { class: 'network', message: 'cut' })
  })

  it('adds up usage, and leaves the cost unknown where no price is known', () => {
    const usage = (cost: number | null): TurnEventBody => ({
      ...{ type: 'usage', model: 'm', usage: { input_tokens: 10, output_tokens: 5 }, cost_usd: cost },
    })
    assert.equal(play(started, usage(0.25), usage(0.5)).cost, 0.75)
    assert.equal(play(started, usage(null), usage(null)).cost, null)
    assert.equal(play(started, usage(null), usage(null)).tokens, 30)
  })
})

describe('turns from stored messages', () => {
  const message = (id: string, more: Partial<RunMessage>): RunMessage => ({
    ...{ id, role: 'user', text: '', timestamp: 1, turn_id: 't1' },
    ...more,
  })

  it('gathers the messages of a turn and keeps the id that branching needs', () => {
    const turns = turnsOf([
      message('m1', { text: 'Hi' }),
      message('m2', { role: 'assistant', text: 'Look', reasoning: 'Hm' }),
      message('m3', {
        role: 'tool',
        toolInfo: { tool_name: 'x', tool_call_id: 'c', tool_args: {}, tool_call_error: true, result: 'no' },
      }),
      message('m4', { role: 'assistant', text: 'Sorry', state: 'completed', model: 'm' }),
      message('m5', { turn_id: 't2', text: 'Next' }),
    ])
    assert.deepEqual(turns.map((turn) => [turn.id, turn.messageId]), [['t1', 'm1'], ['t2', 'm5']])
    assert.deepEqual(turns[0]!.parts.map((part) => part.kind), ['reasoning', 'text', 'tool', 'text'])
    assert.equal(turns[0]!.parts[2]!.kind === 'tool' && turns[0]!.parts[2]!.ok, false)
    assert.equal(turns[0]!.model, 'm')
  })

  it('reads the same as the events of the same turn', () => {
    const live = play(started, { type: 'text', delta: 'Hello' }, done('Hello'))
    const stored = turnsOf([
      message('m1', { text: 'Hi' }),
      message('m2', { role: 'assistant', text: 'Hello', state: 'completed' }),
    ])[0]!
    assert.equal(textOf(live), textOf(stored))
    assert.equal(live.state, stored.state)
    assert.equal(live.input?.text, stored.input?.text)
  })
})
