import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterEach, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Answer, scripted, toolCall } from '../../server/models/providers/scripted.ts'
import { testApp } from '../../test/support/app.ts'
import { closeAll, lastText, opened } from '../../test/support/channel-app.ts'
import { until } from '../../test/support/chat-platform.ts'
import { homeWith } from '../../test/support/plugins/hosted.ts'
import { DIRECT, ROOM, SECRETS, startBench } from '../../test/support/slack-bench.ts'

const HERE = import.meta.dirname

/** Slack, the plugin, and a whole server behind it. */
async function begin(answers: Answer[], settings: Record<string, unknown> = {}) {
  const { slack } = await startBench()
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-slack-'))
  const manifest = JSON.parse(await readFile(join(HERE, 'plugin.json'), 'utf8')) as object
  await writeFile(join(folder, 'plugin.json'), JSON.stringify({ ...manifest, runtime: 'node' }))
  await writeFile(join(folder, 'main.ts'), `import '${pathToFileURL(join(HERE, 'main.ts'))}'\n`)
  const own = { api_root: `${slack.url}/api`, ...SECRETS, allowed_users: ['U0ADA'], burst_ms: 0, ...settings }
  const home = await homeWith({ channels: { slack: own }, plugins: { paths: [folder] } })
  const model = scripted(answers, { piece_ms: 100 })
  const app = opened(await testApp({ home, model, env: { PATH: process.env.PATH! } }))
  await slack.until(() => slack.open() > 0 || undefined, 'the connection')
  const ours = (chat: string) => slack.messages.filter((it) => it.channel === chat && it.bot_id === 'B0HELPER')
  const end = async (): Promise<void> => {
    await slack.close()
    await rm(folder, { recursive: true })
  }
  return { app, slack, ours, end }
}

describe('the agent in Slack', { timeout: 120_000 }, () => {
  let end = async (): Promise<void> => {}
  afterEach(async () => {
    await closeAll()
    await end()
  })

  it('answers a direct message, a call in a thread, and each in its own session', async () => {
    const { app, slack, ours, ...bench } = await begin(
      Array.from({ length: 5 }, () => (request) => lastText([request])),
    )
    end = bench.end
    slack.write(DIRECT, 'say **this**')
    const [answer] = await until(() => ours(DIRECT), ({ length }) => length > 0)
    assert.equal(answer?.text, 'say *this*')
    const root = slack.write(ROOM, 'among us')
    slack.write(ROOM, '<@U0HELPER> and here?', { thread_ts: root.ts })
    const [reply] = await until(() => ours(ROOM), ({ length }) => length > 0)
    assert.equal(reply?.thread_ts, root.ts)
    slack.write(ROOM, 'and again?', { thread_ts: root.ts })
    await until(() => ours(ROOM), ({ length }) => length > 1)
    const { sessions } = await app.json<{ sessions: { session_id: string }[] }>('/api/sessions')
    assert.deepEqual(sessions.map(({ session_id }) => session_id).sort(), [
      'sl:U0ADA',
      `sl:group:${ROOM}:thread:${root.ts}`,
    ])
  })

  it('asks with buttons in the thread, takes the press, and lets the reply grow', async () => {
    const write = toolCall('notes.create', { path: 'a.md', content: 'x' })
    const long = Array.from({ length: 25 }, (_, i) => `Line ${i}.`).join(' ')
    const { slack, ours, ...bench } = await begin([write, long])
    end = bench.end
    const root = slack.write(ROOM, 'a root')
    slack.write(ROOM, '<@U0HELPER> write it', { thread_ts: root.ts })
    type Asked = { blocks?: { elements?: { value: string; text: { text: string } }[] }[] }
    const buttonsOf = (message: object) => ((message as Asked).blocks ?? []).flatMap(({ elements = [] }) => elements)
    const [question] = await until(() => ours(ROOM), ([first]) => first !== undefined && buttonsOf(first).length > 0)
    assert.equal(question!.thread_ts, root.ts)
    const allow = buttonsOf(question!).find(({ text }) => text.text === 'Allow Once')!
    slack.tell('interactive', {
      type: 'block_actions',
      trigger_id: '7.7',
      user: { id: 'U0ADA' },
      channel: { id: ROOM },
      message: { ts: question!.ts, thread_ts: root.ts },
      actions: [{ type: 'button', value: allow.value }],
    })
    assert.equal((await slack.called('chat.postEphemeral')).args.text, 'Allowed')
    await until(() => buttonsOf(question!), ({ length }) => length === 0)
    await until(() => ours(ROOM).at(-1), (last) => String(last?.text).endsWith('Line 24.'), 30_000)
    assert.equal(ours(ROOM).at(-1)!.thread_ts, root.ts)
    const edits = slack.calls.filter(({ method, args }) =>
      method === 'chat.update' && args.ts === ours(ROOM).at(-1)!.ts
    )
    assert.ok(edits.length > 0)
  })
})
