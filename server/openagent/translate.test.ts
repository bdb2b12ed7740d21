import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TurnEvent, TurnEventBody } from '../../shared/turn-events.ts'
import { answerText, IDLE, isChildSession, joinDeltas, liveTurns, translate } from './translate.ts'

let offset = 0
const event = (body: TurnEventBody, session_id = 's'): TurnEvent => ({
  v: 1,
  offset: ++offset,
  session_id,
  turn_id: 't',
  at: 1000 * offset,
  ...body,
})

const started = event({ type: 'turn_started', input: { text: 'hi' }, model: 'a:b' })
const call = (id: string) => event({ type: 'tool_call', call_id: id, name: 'x', arguments: { n: id } })
const result = (id: string) =>
  event({ type: 'tool_result', call_id: id, name: 'x', ok: false, result: 'no', duration_ms: 1 })
const finished = (state: 'completed' | 'failed' | 'interrupted', text: string) =>
  event({ type: 'turn_finished', state, text, model: 'a:b' })

/** The frames of a turn, each as one word. */
function told(events: TurnEvent[]): string[] {
  let view = IDLE
  return events.flatMap((next) => {
    const { frames, ...rest } = translate(view, next)
    view = rest.view
    return frames.map((frame) =>
      frame.type === 'reasoning'
        ? `reasoning ${frame.active}`
        : frame.type === 'delta'
        ? `delta ${frame.text}`
        : frame.type
    )
  })
}

describe('turn events as frames', () => {
  it('says that the model thinks until it speaks or calls, and again after the last result', () => {
    const text = event({ type: 'text', delta: 'a' })
    const events = [started, text, call('1'), call('2'), result('1'), result('2'), text, finished('completed', 'a')]
    assert.deepEqual(told(events), [
      'text_final',
      'reasoning true',
      'reasoning false',
      'delta a',
      'status',
      'status',
      'status',
      'status',
      'reasoning true',
      'reasoning false',
      'delta a',
      'reasoning false',
      'response',
      'turn_complete',
    ])
  })

  it('repeats the arguments of a call with its result', () => {
    const before = translate(IDLE, call('1'))
    const { frames } = translate(before.view, result('1'))
    assert.deepEqual(JSON.parse((frames[0] as { text: string }).text), {
      tool_name: 'x',
      tool_call_id: '1',
      tool_args: { n: '1' },
      tool_call_error: true,
      result: 'no',
      duration_ms: 1,
    })
  })

  it('puts the offset on the last frame of an event only', () => {
    const { frames } = translate(IDLE, finished('completed', 'done'))
    assert.deepEqual(frames.map((frame) => frame.offset), [undefined, undefined, offset])
    assert.deepEqual(translate(IDLE, event({ type: 'step', index: 0, model: 'a:b' })).frames, [])
  })

  it('asks for approval in words for old clients and in a frame of its own', () => {
    const question = event({
      type: 'approval',
      approval_id: 'q',
      call_id: '1',
      name: 'notes.write',
      arguments: {},
      reason: 'It changes your data.',
      expires_at: 9,
    })
    assert.deepEqual(told([started, question]).slice(-3), ['reasoning false', 'status', 'approval'])
  })

  it('has a text for every end of a turn', () => {
    assert.equal(answerText({ state: 'failed', text: '', error: { message: 'no key' } }), 'Error: no key')
    assert.match(answerText({ state: 'completed', text: ' ' }), /without any text/)
    assert.match(answerText({ state: 'interrupted', text: '' }), /^Stopped/)
    assert.equal(answerText({ state: 'interrupted', text: 'so far' }), 'so far')
  })

  it('knows the runs that no person began by their id, and shows what they were asked as a seed', () => {
    for (const id of ['workflow:w:r:n', 'scheduler:t:r', 'event:e:d', 'a::sub::b', 'a::member::m::f']) {
      assert.ok(isChildSession(id), id)
    }
    assert.ok(!isChildSession('session-1732226400000'))
    assert.deepEqual(told([{ ...started, session_id: 'scheduler:t:r' }]), ['seed', 'reasoning true'])
  })

  it('joins deltas, and nothing across another frame', () => {
    const delta = (text: string) => translate(IDLE, event({ type: 'text', delta: text })).frames[0]!
    const status = translate(IDLE, event({ type: 'notice', text: 'n' })).frames[0]!
    const joined = joinDeltas([delta('a'), delta('b'), status, delta('c')])
    assert.deepEqual(joined.map((frame) => (frame as { text: string }).text), ['ab', 'n', 'c'])
  })

  it('shows of a very long turn at most 512 frames, with its whole text', () => {
    const long = [started]
    for (let i = 0; i < 1000; i++) long.push(event({ type: 'text', delta: `${i} ` }), call(`${i}`), result(`${i}`))
    const live = liveTurns(long)!
    assert.ok(live.frames.length <= 512, String(live.frames.length))
    const text = live.frames.map((frame) => frame.type === 'delta' ? frame.text : '').join('')
    assert.equal(text, Array.from({ length: 1000 }, (_, i) => `${i} `).join(''))
    assert.equal(liveTurns([event({ type: 'turn_queued', input: { text: 'x' }, position: 1 })]), undefined)
  })
})
