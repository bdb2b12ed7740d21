import assert from 'node:assert/strict'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { GatewayError } from '../server/plugins/gateway.ts'
import { scripted } from '../server/models/providers/scripted.ts'
import { OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'
import { type ChatPlatform, chatPlatform, hostOf, until } from './support/chat-platform.ts'
import { runCli } from './support/cli.ts'

describe('cli: channels', () => {
  let app: TestApp
  let chat: ChatPlatform
  let env: Record<string, string>
  const gatehouse = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCli(args, { home: app.home, env })
    assert.equal(code, 0, stderr)
    return stdout
  }

  before(async () => {
    const home = await mkdtemp(join(tmpdir(), 'gatehouse-channels-cli-'))
    await writeFile(join(home, 'gatehouse.yaml'), 'channels: { telegram: { burst_ms: 0 } }')
    chat = chatPlatform()
    app = await testApp({ home, model: scripted(), gateways: hostOf(chat) })
    env = { GATEHOUSE_URL: await app.listen(), GATEHOUSE_TOKEN: OWNER_TOKEN }
  })
  after(() => app.close())

  it('lists channels, and says where a message would go', async () => {
    assert.match(await gatehouse('channels'), /telegram +connected +nobody/)
    assert.match(await gatehouse('channels', 'where', 'telegram', '9'), /^pair: a stranger may ask to be let in/)
  })

  it('lets somebody in by the code that they got', async () => {
    await chat.say({ text: 'Hello', from: '9', name: 'Ada\u001b[31m' })
    const code = await until(() => /[2-9A-Z]{4}-[2-9A-Z]{4}/.exec(chat.texts('9').join())?.[0], Boolean)
    const listed = await gatehouse('pairings')
    assert.ok(listed.includes(code!) && !listed.includes('\u001b[31m'), listed)
    assert.match(await gatehouse('pairings', 'approve', code!, '--trust'), /^Ada.* on telegram: approved/)
    assert.match(await gatehouse('pairings'), /Nobody asks/)
    assert.match(await gatehouse('channels', 'people'), /telegram +person +9 +Ada.*paired, trusted/)
    assert.match(await gatehouse('channels', 'where', 'telegram', '9'), /^answer: [^]*session +tg:9\nrule +none/)
    await gatehouse('channels', 'decide', 'telegram', '9', 'block')
    assert.match(await gatehouse('channels', 'where', 'telegram', '9'), /^drop: this person is blocked/)
  })

  it('shows what an id hides, so that nobody is taken for another', async () => {
    await chat.say({ text: 'Hello', from: '\u200b9', name: 'Ada' })
    await until(() => chat.texts('\u200b9'), (texts) => texts.length > 0)
    assert.match(await gatehouse('pairings'), /Ada +\\u\{200b\}9 +pending/)
  })

  it('sends into a chat, and sends a dead letter again', async () => {
    chat.before((body) => {
      if (body.type === 'send_message') throw new GatewayError('chat_not_found', 'gone')
    })
    await gatehouse('channels', 'send', 'telegram', '9', 'Good', 'morning')
    const listed = await until(() => gatehouse('outbox'), (text) => / dead /.test(text))
    assert.match(listed, /Good morning +1 +chat_not_found: gone/)
    chat.before(() => {})
    await gatehouse('outbox', 'send', /[0-9A-Z]{26}/.exec(listed)![0])
    await until(() => chat.texts('9'), (texts) => texts.includes('Good morning'))
    assert.match(await gatehouse('outbox'), /Nothing waits/)
  })

  it('shows a code that the platform wants confirmed', async () => {
    await chat.tell({ type: 'auth_required', method: { method: 'pair_code', code: 'ABCD-1234', expires_in: 3 } })
    assert.match(await gatehouse('channels', 'auth', 'telegram'), /ABCD-1234[^]*no longer valid/)
  })
})
