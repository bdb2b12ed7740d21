import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { TurnEvent } from '../shared/turn-events.ts'
import { OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'
import { programs, until } from './support/mcp-programs.ts'
import { openSocket } from './support/ws.ts'

type Progress = Extract<TurnEvent, { type: 'tool_progress' }>

const opened: TestApp[] = []
async function open(options: Parameters<typeof testApp>[0] = {}): Promise<TestApp> {
  const app = await testApp(options)
  opened.push(app)
  return app
}
after(async () => {
  for (const app of opened) await app.close()
})

const allow = (app: TestApp, tool: string) =>
  app.json('/api/tool-rules', { method: 'PUT', json: { rules: [{ tool, decision: 'allow', when: null }] } })
const progressIn = (events: TurnEvent[]) => events.filter((event): event is Progress => event.type === 'tool_progress')
const finished = ({ type }: TurnEvent): boolean => type === 'turn_finished'

describe('progress of a tool call', () => {
  it('of a command is its newest line, a few times a second however much it says', async () => {
    const command = 'for i in $(seq 1 30000); do echo "line $i of many"; done; sleep 1.2; echo last; sleep 1'
    const model = scripted([[toolCall('shell_run', { command })], 'done'])
    const app = await open({ model, flags: { 'tools.shell.enabled': true } })
    await allow(app, 'shell.run')
    await app.json('/api/sessions/s/messages', { json: { text: 'go' } })
    const events = await app.events('s', 0, finished)
    const progress = progressIn(events)
    assert.ok(progress.length >= 2 && progress.length < 30, `${progress.length} events`)
    assert.ok(progress.every((event, i) => event.progress > (progress[i - 1]?.progress ?? 0)))
    assert.match(progress[0]!.message!, /^line \d+ of many$/)
    assert.deepEqual([progress.at(-1)!.message, progress.at(-1)!.progress], ['last', 30_001])
    const result = events.findIndex(({ type }) => type === 'tool_result')
    assert.ok(events.indexOf(progress.at(-1)!) < result)

    // What is over is not kept.
    await app.stop()
    const again = opened[opened.indexOf(app)] = await testApp({ home: app.home })
    const later = await again.events('s', 0, finished)
    assert.deepEqual(progressIn(later), [])
    assert.deepEqual(
      later.map(({ type }) => type),
      events.map(({ type }) => type).filter((type) => type !== 'tool_progress'),
    )
  })

  it('of an MCP server reaches who follows, over SSE and the WebSocket, and who loads the turn meanwhile', async () => {
    const model = scripted([
      [toolCall('every_trigger_long_running_operation', { duration: 3, steps: 6 })],
      'done',
    ])
    const app = await open({ model })
    await app.json('/api/mcps', { json: { name: 'every', ...programs.everything }, status: 201 })
    await until(async () => {
      const { mcp } = await app.json<{ mcp: { state: string; server: unknown } }>('/api/mcps/every')
      return mcp.server && mcp.state === 'ready' ? true : undefined
    })
    await allow(app, 'every_trigger_long_running_operation')
    const url = (await app.listen()).replace('http', 'ws') + '/ws'
    const socket = await openSocket(url, { authorization: `Bearer ${OWNER_TOKEN}` })
    try {
      await app.json('/api/sessions/s/messages', { json: { text: 'go' } })
      socket.send({
        type: 'session_open',
        session_id: 's',
        profile: 'batched',
        client_kind: 'webapp-chat',
        speak: false,
      })
      const [events] = await Promise.all([
        app.events('s', 0, finished),
        (async () => {
          await app.events('s', 0, ({ type }) => type === 'tool_progress')
          await setTimeout(700)
          const again = await app.events('s', 0, ({ type }) => type === 'tool_progress')
          assert.ok(progressIn(again).length >= 1)
        })(),
      ])
      const progress = progressIn(events)
      assert.ok(progress.length >= 3, `${progress.length} events`)
      assert.equal(progress.at(-1)!.total, 6)
      const frame = await socket.next(({ type }) => type === 'tool_progress')
      assert.equal(frame.total, 6)
    } finally {
      socket.drop()
    }
  })
})
