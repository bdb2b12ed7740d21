import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, afterEach, before, describe, it } from 'node:test'
import type { Probe } from '../../server/plugins/conformance/probe.ts'
import { faultsOf, startPlugin } from '../../test/support/channel-plugin.ts'
import { toLines, withoutFormat } from './format.ts'
import { startIrcServer } from './irc-server.ts'
import { casefold, lineOf, parseMessage } from './message.ts'

/** Somebody with an IRC program. */
async function connectPerson(port: number, nick: string, channel?: string) {
  const socket: Socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const lines: string[] = []
  let rest = ''
  const watchers = new Set<() => void>()
  socket.setEncoding('utf8').on('data', (data: string) => {
    const parts = (rest + data).split('\r\n')
    rest = parts.pop()!
    for (const line of parts) {
      if (line.startsWith('PING')) socket.write(`PONG ${line.slice(5)}\r\n`)
      lines.push(line)
    }
    for (const look of watchers) look()
  })
  socket.on('error', () => {})
  const hears = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${pattern} is not in:\n${lines.join('\n')}`)), 30_000)
      const look = (): void => {
        const line = lines.find((line) => pattern.test(line))
        if (!line) return
        clearTimeout(timer)
        watchers.delete(look)
        resolve(line)
      }
      watchers.add(look)
      look()
    })
  socket.write(`NICK ${nick}\r\nUSER ${nick} 0 * :${nick}\r\n`)
  await hears(/ 001 /)
  if (channel) {
    socket.write(`JOIN ${channel}\r\n`)
    await hears(new RegExp(`JOIN :?${channel}`))
  }
  return {
    lines,
    hears,
    says: (target: string, text: string) => socket.write(`PRIVMSG ${target} :${text}\r\n`),
    renames: (nick: string) => socket.write(`NICK ${nick}\r\n`),
    leaves: () => socket.destroy(),
  }
}

const send = (request_id: string, chat_id: string, content: string, more: object = {}) => ({
  type: 'send_message',
  request_id,
  chat_id,
  content,
  ...more,
})

describe('IRC', () => {
  let irc: Awaited<ReturnType<typeof startIrcServer>>
  let probe: Probe | undefined
  const people: { leaves(): unknown }[] = []

  before(async () => (irc = await startIrcServer({ password: 'right' })))
  afterEach(async () => {
    await probe?.kill()
    probe = undefined
    for (const person of people.splice(0)) person.leaves()
  })
  after(() => irc.close())

  const settings = (more: object = {}) => ({
    server: '127.0.0.1',
    port: irc.port,
    tls: false,
    nick: 'gatehouse',
    channels: ['#build'],
    lines_per_second: 100,
    ...more,
  })
  async function start(config: object = {}, secrets: Record<string, string> = {}): Promise<Probe> {
    irc.received.length = 0
    probe = await startPlugin('irc', { config: settings(config), secrets })
    return probe
  }
  async function person(nick: string, channel = '#build') {
    const one = await connectPerson(irc.port, nick, channel)
    people.push(one)
    return one
  }

  it('joins, says who it is, and hears what is said to it and around it', async () => {
    const ada = await person('ada')
    const plugin = await start()
    assert.equal((await plugin.event('status'))?.identity, 'gatehouse@127.0.0.1')
    await ada.hears(/:gatehouse!\S+ JOIN/)
    ada.says('#build', 'gatehouse: is it \x02green\x02?')
    ada.says('#build', 'among us')
    ada.says('gatehouse', 'a secret')
    const heard = (text: string) =>
      plugin.event('message_received', ({ content }) => content.type === 'text' && content.text === text)
    const asked = await heard('is it green?')
    assert.deepEqual(asked?.routing, {
      channel: 'irc',
      chat_type: 'group',
      chat_id: '#build',
      sender_id: 'ada!ada@host.example',
      network: '127.0.0.1',
    })
    assert.deepEqual([asked?.mentions_bot, asked?.timestamp], [true, '2026-03-01T08:15:00.000Z'])
    assert.equal((await heard('among us'))?.mentions_bot, false)
    const direct = await heard('a secret')
    assert.deepEqual([direct?.chat_id, direct?.routing.chat_type], ['ada', 'dm'])
    assert.deepEqual(plugin.problems, [])
  })

  it('knows people by their account, which a borrowed nick does not have', async () => {
    const ada = await person('ada')
    irc.setAccount('ada', 'Ada')
    const plugin = await start()
    await ada.hears(/:gatehouse!\S+ JOIN/)
    ada.says('gatehouse', 'it is me')
    assert.equal((await plugin.event('message_received'))?.sender.id, 'ada')
    ada.leaves()
    const eve = await connectPerson(irc.port, 'ada_')
    people.push(eve)
    eve.renames('Ada')
    await eve.hears(/NICK :Ada/)
    eve.says('gatehouse', 'it is me, too')
    const other = await plugin.event('message_received', ({ sender }) => sender.id !== 'ada')
    assert.equal(other?.sender.id, 'Ada!ada_@host.example')
  })

  it('answers with formatting, line by line, names who asked, and follows a changed nick', async () => {
    const ada = await person('ada')
    const plugin = await start()
    await ada.hears(/:gatehouse!\S+ JOIN/)
    ada.says('#build', 'gatehouse, how is it?')
    const { message_id } = (await plugin.event('message_received'))!
    const content = '**Green**, by `make`:\n\n- one\n- two'
    const answer = await plugin.ask(send('R1', '#build', content, { reply_to: message_id }))
    assert.equal(answer?.type, 'command_ok')
    await ada.hears(/PRIVMSG #build :ada: \x02Green\x02, by \x11make\x11:$/)
    await ada.hears(/PRIVMSG #build :• two$/)
    ada.says('gatehouse', 'and to me?')
    await plugin.event('message_received', ({ chat_id }) => chat_id === 'ada')
    ada.renames('ada_away')
    // What the server tells everybody in turn, the plugin may hear last.
    ada.says('#build', 'gatehouse, it is still me')
    await plugin.event('message_received', ({ sender }) => sender.username === 'ada_away')
    assert.equal((await plugin.ask(send('R2', 'ada', 'to you')))?.type, 'command_ok')
    await ada.hears(/PRIVMSG ada_away :to you/)
  })

  it('never tells one person what another asked, whoever had the nick before', async () => {
    const eve = await person('ada')
    const plugin = await start()
    await eve.hears(/:gatehouse!\S+ JOIN/)
    eve.renames('eve')
    await eve.hears(/NICK :eve/)
    const ada = await person('ada')
    ada.says('gatehouse', 'something private')
    const { message_id } = (await plugin.event('message_received'))!
    assert.equal((await plugin.ask(send('N1', 'ada', 'for ada alone', { reply_to: message_id })))?.type, 'command_ok')
    assert.equal((await plugin.ask(send('N2', 'ada', 'and this too')))?.type, 'command_ok')
    await ada.hears(/PRIVMSG ada :and this too/)
    assert.ok(!eve.lines.some((line) => /PRIVMSG \S+ :(for|and)/.test(line)))
    ada.renames('ada_away')
    await ada.hears(/NICK :ada_away/)
    ada.renames('ada')
    ada.says('#build', 'gatehouse, I am back')
    await plugin.event('message_received', ({ content }) => content.type === 'text' && content.text === 'I am back')
    assert.equal((await plugin.ask(send('N3', 'ada_away', 'there and back')))?.type, 'command_ok')
    await ada.hears(/PRIVMSG ada :there and back/)
  })

  it('takes what is said to the operators of a channel for a group, and answers them alone', async () => {
    const ada = await person('ada')
    const plugin = await start()
    await ada.hears(/:gatehouse!\S+ JOIN/)
    ada.says('gatehouse', 'first')
    irc.tell('gatehouse', 'ada', 'PRIVMSG @#build :gatehouse: among operators')
    irc.tell('gatehouse', 'ada', 'PRIVMSG $*.example :to everybody')
    ada.says('gatehouse', 'last')
    const heard = (text: string) =>
      plugin.event('message_received', ({ content }) => content.type === 'text' && content.text === text)
    const said = await heard('among operators')
    assert.deepEqual([said?.chat_id, said?.routing.chat_type], ['@#build', 'group'])
    await heard('last')
    assert.ok(!JSON.stringify(plugin.events).includes('to everybody'))
  })

  it('is not kept from answering by people who ask its program for more', async () => {
    const ada = await person('ada')
    const plugin = await start({ lines_per_second: 1 })
    await ada.hears(/:gatehouse!\S+ JOIN/)
    for (let i = 0; i < 100; i++) ada.says('gatehouse', '\x01VERSION\x01')
    ada.says('gatehouse', 'hello')
    await plugin.event('message_received')
    assert.equal((await plugin.ask(send('C1', 'ada', 'answered')))?.type, 'command_ok')
    const notices = irc.received.filter((line) => line.startsWith('NOTICE')).length
    assert.ok(notices < 10, `${notices} notices`)
  })

  it('cuts long lines so that all arrives, and never lets a text become a command', async () => {
    const ada = await person('ada')
    const plugin = await start()
    await ada.hears(/:gatehouse!\S+ JOIN/)
    await plugin.event('status')
    const words = Array.from({ length: 200 }, (_, i) => `wörd${i}`)
    const sent = await plugin.ask(send('R1', '#build', words.join(' ')))
    assert.equal(sent?.type, 'command_ok', JSON.stringify(sent))
    await ada.hears(/wörd199$/)
    const pieces = ada.lines.filter((line) => line.includes('PRIVMSG #build')).map((line) => line.split(' :')[1]!)
    assert.deepEqual(pieces.join(' ').split(' '), words)
    assert.ok(ada.lines.every((line) => Buffer.byteLength(line) <= 510))
    await plugin.ask(send('R2', '#build', 'one\r\nQUIT :gone\nPRIVMSG ada :tricked'))
    await ada.hears(/tricked/)
    await plugin.ask(send('R3', 'ada\r\nQUIT', 'x'))
    const commands = irc.received.map((line) => line.split(' ')[0])
    assert.ok(!commands.includes('QUIT'))
    assert.ok(!ada.lines.some((line) => /:gatehouse!\S+ PRIVMSG ada /.test(line)))
  })

  it('tells that nobody has this nick, that a channel takes nothing from it, and that files do not go', async () => {
    const plugin = await start()
    await plugin.event('status')
    const code = (event: Awaited<ReturnType<Probe['ask']>>) =>
      event?.type === 'command_error' ? event.code : event?.type
    assert.equal(code(await plugin.ask(send('R1', 'nobody', 'x'))), 'chat_not_found')
    await person('bob', '#closed')
    assert.equal(code(await plugin.ask(send('R2', '#closed', 'x'))), 'forbidden')
    const data = { source: 'base64', data: 'aGk=', mime_type: 'text/plain' }
    assert.equal(
      code(await plugin.ask({ type: 'send_media', request_id: 'R3', chat_id: '#build', media: data })),
      'not_implemented',
    )
    const link = { source: 'url', url: 'https://img.example/cat.png' }
    assert.equal(
      code(await plugin.ask({ type: 'send_media', request_id: 'R4', chat_id: '#build', media: link, caption: 'cat' })),
      'command_ok',
    )
  })

  it('logs in with SASL, and ends with a word for the owner when the password is refused', async () => {
    const plugin = await start({ account: 'agent' }, { password: 'right' })
    assert.equal((await plugin.event('status'))?.connected, true)
    assert.ok(irc.received.includes('AUTHENTICATE PLAIN'))
    await plugin.kill()
    const refused = await start({}, { password: 'wrong' })
    const error = await refused.event('error')
    assert.deepEqual([error?.code, error?.fatal], ['unauthorized', true])
    assert.equal((await refused.exited).code, 1)
    assert.ok(!JSON.stringify(refused.events).includes('wrong') && !refused.stderr().includes('wrong'))
  })

  it('takes another nick when its own is in use', async () => {
    await person('gatehouse')
    const plugin = await start()
    assert.equal((await plugin.event('status'))?.identity, 'gatehouse_@127.0.0.1')
  })

  it('says that it is gone when the connection breaks, and comes back', { timeout: 30_000 }, async () => {
    const plugin = await start()
    await plugin.event('status')
    irc.drop()
    await plugin.event('status', ({ connected }) => !connected)
    const answer = await plugin.ask(send('R1', '#build', 'x'))
    assert.equal(answer?.type === 'command_error' && answer.code, 'not_connected')
    const at = plugin.events.length
    assert.ok(await plugin.event('status', ({ connected }) => connected, 15_000, at))
    assert.equal((await plugin.ask(send('R2', '#build', 'x')))?.type, 'command_ok')
  })

  it('passes the conformance kit', { timeout: 120_000 }, async () => {
    await person('ada')
    assert.deepEqual(await faultsOf('irc', { config: settings() }, '#build'), [])
  })
})

const NGIRCD = spawnSync('ngircd', ['--version']).status === 0

describe('IRC with ngircd', { skip: NGIRCD ? false : 'ngircd is not installed' }, () => {
  it('carries messages both ways', { timeout: 60_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-irc-'))
    const port = await freePort()
    const file = join(folder, 'ngircd.conf')
    await writeFile(
      file,
      `[Global]\nName = irc.test.example\nInfo = Test\nListen = 127.0.0.1\nPorts = ${port}\nServerUID = ${
        process.getuid?.() ?? 0
      }\n` +
        '[Options]\nDNS = no\nIdent = no\nPAM = no\n[Limits]\nMaxConnectionsIP = 0\nMaxPenaltyTime = 0\n[Channel]\nName = #build\n',
    )
    const server = spawn('ngircd', ['-n', '-f', file], { stdio: 'ignore' })
    let plugin: Probe | undefined
    let ada: Awaited<ReturnType<typeof connectPerson>> | undefined
    try {
      await until(() => answers(port))
      ada = await connectPerson(port, 'ada', '#build')
      plugin = await startPlugin('irc', {
        config: {
          server: '127.0.0.1',
          port,
          tls: false,
          nick: 'gatehouse',
          channels: ['#build'],
          lines_per_second: 50,
        },
      })
      await ada.hears(/:gatehouse!\S+ JOIN :?#build/)
      ada.says('#build', 'gatehouse: grüß dich')
      const message = await plugin.event('message_received')
      assert.deepEqual(message?.content, { type: 'text', text: 'grüß dich' })
      assert.equal((await plugin.ask(send('R1', '#build', 'grüß **dich** auch')))?.type, 'command_ok')
      await ada.hears(/PRIVMSG #build :grüß \x02dich\x02 auch/)
      const lost = await plugin.ask(send('R2', 'nobody', 'x'))
      assert.equal(lost?.type === 'command_error' && lost.code, 'chat_not_found')
    } finally {
      ada?.leaves()
      await plugin?.kill()
      server.kill('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('lines of IRC', () => {
  it('are read with tags, a source and a trailing text', () => {
    assert.deepEqual(parseMessage('@time=a\\:b;account=x :n!u@h PRIVMSG #c :a :b'), {
      tags: { time: 'a;b', account: 'x' },
      source: 'n!u@h',
      command: 'PRIVMSG',
      params: ['#c', 'a :b'],
    })
    assert.deepEqual(parseMessage('PING :x')?.params, ['x'])
    assert.equal(parseMessage(''), undefined)
    assert.equal(parseMessage(':only-source'), undefined)
  })

  it('are written so that nothing in them begins another', () => {
    assert.equal(lineOf('PRIVMSG', '#c', 'a\r\nQUIT'), 'PRIVMSG #c :a QUIT')
    assert.equal(lineOf('JOIN', '#a b'), 'JOIN :#a b')
    assert.equal(lineOf('KICK', '#a b', 'x'), 'KICK #a_b :x')
  })

  it('lose formatting and gain it', () => {
    assert.equal(withoutFormat('\x0304,05red\x03 \x02bold\x0f \x1dx'), 'red bold x')
    assert.deepEqual(toLines('# Title\n\ntext **a**\n\n```\none\n\ntwo\n```'), [
      '\x02Title\x02',
      'text \x02a\x02',
      '\x11one\x11',
      '\x11two\x11',
    ])
    assert.deepEqual(toLines('\x01ACTION x\x01'), ['ACTION x'])
    // Nested too deep to be read, it is shown as it was written.
    assert.match(toLines(`${'>'.repeat(20_000)} deep`).at(-1) ?? '', /deep/)
  })

  it('know names as the network folds them', () => {
    assert.equal(casefold('[Ada]~', 'rfc1459'), '{ada}^')
    assert.equal(casefold('[Ada]~', 'ascii'), '[ada]~')
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000
  while (!await condition()) {
    if (Date.now() > end) throw new Error('took too long')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
