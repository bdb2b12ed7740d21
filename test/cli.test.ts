import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { clean, createCleaner, safeJson, visible } from '../server/cli/clean.ts'
import { commands, findCommand } from '../server/cli/commands.ts'
import { findTarget } from '../server/cli/target.ts'
import { writeRunFile } from '../server/cli/run-file.ts'
import { scripted } from '../server/models/providers/scripted.ts'
import { currentRuntime } from '../server/runtime/current.ts'
import { OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'
import { runCli, startCli } from './support/cli.ts'

const NOBODY = 'http://127.0.0.1:9'

describe('cli: the terminal talks to a server', () => {
  let app: TestApp
  let home: string
  let env: Record<string, string>
  const gatehouse = (args: string[], input?: string) => runCli(args, { home, env, ...(input ? { input } : {}) })

  before(async () => {
    app = await testApp({ model: scripted() })
    home = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'))
    env = { GATEHOUSE_URL: await app.listen(), GATEHOUSE_TOKEN: OWNER_TOKEN }
  })
  after(async () => {
    await app.close()
    await rm(home, { recursive: true, force: true })
  })

  it('a text is answered on stdout, and nothing else is', async () => {
    const { code, stdout, stderr } = await gatehouse(['chat', 'Good', 'morning'])
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'You said: Good morning\n', stderr: '' })
  })

  it('what stands on stdin follows the text of the command line', async () => {
    const { stdout } = await gatehouse(['chat', 'Translate'], 'bonjour')
    assert.equal(stdout, 'You said: Translate\n\nbonjour\n')
  })

  it('--json prints the turn, and its session can be continued, listed, shown and deleted', async () => {
    const turn = JSON.parse((await gatehouse(['chat', '--json', '--session', 'cli-json', 'One'])).stdout)
    assert.deepEqual([turn.session_id, turn.state, turn.text], ['cli-json', 'completed', 'You said: One'])
    await gatehouse(['chat', '-s', 'cli-json', 'Two'])
    const { messages } = JSON.parse((await gatehouse(['sessions', 'show', 'cli-json', '--json'])).stdout)
    assert.deepEqual(messages.map((message: { text: string }) => message.text), [
      'One',
      'You said: One',
      'Two',
      'You said: Two',
    ])
    const { sessions } = JSON.parse((await gatehouse(['sessions', '--json'])).stdout)
    assert.ok(sessions.some((session: { session_id: string }) => session.session_id === 'cli-json'))
    assert.match((await gatehouse(['sessions', 'rename', 'cli-json', 'A', 'title'])).stdout, /A title/)
    assert.match((await gatehouse(['sessions', 'list'])).stdout, /cli-json .* A title/)
    assert.equal((await gatehouse(['sessions', 'delete', 'cli-json'])).code, 0)
    const gone = await gatehouse(['sessions', 'show', 'cli-json'])
    assert.equal(gone.code, 1)
    assert.match(gone.stderr, /cli-json was not found/)
  })

  it('Ctrl-C interrupts the turn and not the conversation', async () => {
    const chat = startCli(['chat', '-i', '--session', 'cli-slow'], { home, env })
    chat.type('slow: 400')
    await chat.says('word3 ')
    chat.interrupt()
    await chat.says('(interrupted)')
    chat.type('still there?')
    await chat.says('You said: still there?')
    chat.type('/exit')
    const { code, stdout } = await chat.ended
    assert.equal(code, 0)
    assert.doesNotMatch(stdout, /word400/)
  })

  it('Ctrl-C twice at the prompt leaves', async () => {
    const chat = startCli(['chat', '-i'], { home, env })
    chat.type('hello')
    await chat.says('You said: hello')
    await new Promise((resolve) => setTimeout(resolve, 200))
    chat.interrupt()
    await chat.says('Press Ctrl-C again')
    chat.interrupt()
    assert.equal((await chat.ended).code, 130)
  })

  it('Ctrl-C stops a single question, whose partial text stays, with exit code 130', async () => {
    const chat = startCli(['chat', 'slow: 400'], { home, env })
    chat.endInput()
    await chat.says('word3 ')
    chat.interrupt()
    const { code, stdout, stderr } = await chat.ended
    assert.equal(code, 130)
    assert.match(stdout, /^word1 word2 word3 /)
    assert.match(stderr, /interrupted/)
  })

  it('a call with effects is shown and waits for the answer that is typed', async () => {
    const chat = startCli(['chat', '-i', '--session', 'cli-ask'], { home, env })
    chat.type('call: notes_create {"path": "cli.md", "content": "from the terminal"}')
    await chat.says('? notes.create')
    chat.type('perhaps')
    chat.type('y')
    await chat.says('✓ notes.create')
    chat.endInput()
    assert.equal((await chat.ended).code, 0)
    assert.match(await readFile(join(app.home, 'vault', 'cli.md'), 'utf8'), /from the terminal/)
  })

  it('a question whose answer did not arrive is asked again', async () => {
    let refusals = 1
    const isAnswer = (request: Request) => new URL(request.url).pathname.startsWith('/api/approvals/')
    const { serve } = await currentRuntime()
    const flaky = await serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request, info) =>
        isAnswer(request) && refusals-- > 0
          ? Response.json({ detail: 'The disk is full' }, { status: 503 })
          : app.fetch(request, info),
      upgrade: app.upgrade,
    })
    const through = { ...env, GATEHOUSE_URL: `http://127.0.0.1:${flaky.port}` }
    const chat = startCli(['chat', '-i', '--session', 'cli-again'], { home, env: through })
    chat.type('call: notes_create {"path": "again.md", "content": "x"}')
    await chat.says('? notes.create')
    chat.type('y')
    await chat.says('The disk is full')
    chat.type('y')
    await chat.says('✓ notes.create')
    chat.endInput()
    assert.equal((await chat.ended).code, 0)
    await flaky.stop(500)
  })

  it('a single question says how to allow what it asks for', async () => {
    const chat = startCli(['chat', 'call: notes_create {"path": "no.md", "content": "x"}'], { home, env })
    chat.endInput()
    await chat.says('gatehouse approvals allow')
    const { approvals } = JSON.parse((await gatehouse(['approvals', '--json'])).stdout)
    assert.match((await gatehouse(['approvals', 'deny', approvals[0].id])).stdout, /deny/)
    assert.equal((await chat.ended).code, 0)
    assert.equal((await gatehouse(['approvals', 'allow', approvals[0].id])).code, 1)
  })

  it('attach shows what was said, what others say, and sends what is typed', async () => {
    await app.ask('cli-attach', 'before')
    const attached = startCli(['attach', 'cli-attach'], { home, env })
    await attached.says('/help for help')
    assert.match(attached.stdout(), /you> before\nYou said: before\n/)
    await app.ask('cli-attach', 'from a phone')
    await attached.says('You said: from a phone')
    assert.match(attached.stdout(), /you> from a phone\n/)
    attached.type('from here')
    await attached.says('You said: from here')
    attached.type('/exit')
    const { code, stdout } = await attached.ended
    assert.equal(code, 0)
    assert.doesNotMatch(stdout, /you> from here/)
  })

  it('attach goes on with a turn that is under way', async () => {
    await app.json('/api/sessions/cli-running/messages', { json: { text: 'slow: 12' } })
    const attached = startCli(['attach', 'cli-running'], { home, env })
    attached.endInput()
    const { stdout } = await attached.ended
    assert.equal(stdout.split('word1 ').length, 2)
    assert.match(stdout, /word1 word2 .*word12 /)
  })

  it('attach --json prints events as lines, from where one likes', async () => {
    await app.ask('cli-events', 'hi')
    const attached = startCli(['attach', 'cli-events', '--json', '--after', '0'], { home, env })
    await attached.says('"turn_finished"')
    attached.interrupt()
    const { code, stdout } = await attached.ended
    assert.equal(code, 130)
    const events = stdout.trim().split('\n').map((line) => JSON.parse(line))
    assert.equal(events[0].type, 'turn_queued')
    assert.equal(events.at(-1).type, 'turn_finished')
  })

  it('nothing that a model says can steer the terminal', async () => {
    const { stdout } = await gatehouse(['chat', '-s', 'cli-escape', 'a\x1b[31mred\x1b]0;title\x07\x9b2J\u202eb'])
    assert.equal(stdout, 'You said: aredb\n')
    await gatehouse(['sessions', 'rename', 'cli-escape', 'evil \x1b[2J\x1b]8;;http://x\x1b\\title'])
    const listed = (await gatehouse(['sessions'])).stdout
    assert.match(listed, /evil title/)
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(listed, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
  })

  it('a key is printed once, works, and is refused where its scope ends', async () => {
    const created = await gatehouse(['keys', 'create', 'reader', '--scopes', 'read', '--expires', '2d'])
    const secret = created.stdout.trim()
    assert.match(secret, /^gk_\w+$/)
    const asReader = (args: string[]) => runCli([...args, '--token', secret], { home, env })
    assert.equal((await asReader(['sessions'])).code, 0)
    assert.equal((await asReader(['keys'])).code, 4)
    const { keys } = JSON.parse((await gatehouse(['keys', '--json'])).stdout)
    assert.doesNotMatch(JSON.stringify(keys), new RegExp(secret))
    assert.equal((await gatehouse(['keys', 'revoke', keys[0].id])).code, 0)
    const refused = await asReader(['sessions'])
    assert.equal(refused.code, 4)
    assert.match(refused.stderr, /valid credential/)
  })

  it('login-link makes a link that a browser can use', async () => {
    const { url, code } = JSON.parse((await gatehouse(['login-link', '--json'])).stdout)
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/login#code=\w+$/)
    const redeemed = await fetch(`${env.GATEHOUSE_URL}/api/auth/redeem`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ code }),
    })
    assert.equal(redeemed.status, 200)
    await redeemed.body?.cancel()
  })

  it('settings are read, changed, checked and brought back', async () => {
    assert.equal((await gatehouse(['config', 'get', 'name'])).stdout, 'Gatehouse\n')
    assert.equal((await gatehouse(['config', 'set', 'name', 'Ada'])).code, 0)
    assert.equal((await gatehouse(['config', 'set', 'sessions.max_queue', '7'])).code, 0)
    assert.equal((await gatehouse(['config', 'set', 'channels.tg.allowed_users', '[ann, bob]'])).code, 0)
    assert.equal((await gatehouse(['config', 'set', 'channels.irc.command', 'x'])).code, 0)
    assert.deepEqual(JSON.parse((await gatehouse(['config', 'get', 'channels', '--json'])).stdout), {
      tg: { allowed_users: ['ann', 'bob'] },
      irc: { command: 'x' },
    })
    assert.match((await gatehouse(['config', 'get', 'sessions.max_queue', '--origin'])).stdout, /file +7/)
    const refused = await gatehouse(['config', 'set', 'server.port', 'many'])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /server\.port.*number/)
    const { versions } = JSON.parse((await gatehouse(['config', 'history', '--json'])).stdout)
    assert.equal((await gatehouse(['config', 'restore', String(versions.at(-1).id)])).code, 0)
    assert.equal((await gatehouse(['config', 'unset', 'name'])).code, 0)
    assert.equal((await gatehouse(['config', 'get', 'name'])).stdout, 'Gatehouse\n')
    assert.equal((await gatehouse(['config', 'get', '__proto__.polluted'])).code, 1)
  })

  it('every read has --json that parses', async () => {
    for (const words of ['status', 'sessions', 'sessions search You', 'models', 'models options', 'keys', 'doctor']) {
      const { stdout, stderr } = await gatehouse([...words.split(' '), '--json'])
      assert.doesNotThrow(() => JSON.parse(stdout), `${words}: ${stdout}${stderr}`)
    }
    const logs = (await gatehouse(['logs', '--json'])).stdout.split('\n').filter(Boolean)
    logs.forEach((line) => JSON.parse(line))
  })
})

describe('cli: without a server', () => {
  let home: string
  const gatehouse = (args: string[], env: Record<string, string> = {}) => runCli(args, { home, env })

  before(async () => (home = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'))))
  after(() => rm(home, { recursive: true, force: true }))

  it('says that none answers, how to start one, and ends with 3', async () => {
    for (const words of ['sessions', 'chat hello', 'status', 'attach x']) {
      const { code, stdout, stderr } = await gatehouse([...words.split(' '), '--server', NOBODY])
      assert.equal(code, 3, words)
      assert.match(stderr, /No Gatehouse answers at http:\/\/127\.0\.0\.1:9\. Start one with: npm start/)
      assert.equal(stdout, '')
    }
  })

  it('wrong arguments end with 2 and say what is wrong', async () => {
    const wrong: [string, RegExp][] = [
      ['nonsense', /There is no command "nonsense"/],
      ['sessions bogus', /wants one of list, search, show/],
      ['attach', /SESSION is missing/],
      ['stop it now', /too much/],
      ['sessions --bogus', /--bogus/],
      ['logs --lines many', /--lines must be a number/],
      ['completions tcsh', /bash, zsh, fish/],
      ['status --server ftp://x', /--server/],
      ['serve --port many', /--port must be a number/],
    ]
    for (const [words, reason] of wrong) {
      const { code, stderr } = await gatehouse(words.split(' '))
      assert.equal(code, 2, words)
      assert.match(stderr, reason)
    }
  })

  it('help, versions and completions come from one table', async () => {
    const { stdout } = await gatehouse(['--help'])
    for (const { name } of commands) assert.ok(stdout.includes(`  ${name}`), name)
    assert.match((await gatehouse(['help', 'exit-codes'])).stdout, /130 {2}interrupted/)
    assert.match((await gatehouse(['chat', '--help'])).stdout, /--session ID/)
    assert.match((await gatehouse(['--version'])).stdout, /^gatehouse \d+\.\d+\.\d+/)
    assert.match((await gatehouse(['completions', 'bash'])).stdout, /complete -o default -F _gatehouse gatehouse/)
    assert.match((await gatehouse(['completions', 'fish'])).stdout, /-a search -d/)
  })

  it('doctor looks at the home, and ends with 1 when something is wrong', async () => {
    const fine = await gatehouse(['doctor', '--json'], { PORT: '0', GATEHOUSE_URL: NOBODY })
    const report = JSON.parse(fine.stdout)
    assert.equal(fine.code, 0)
    assert.equal(report.summary.error, 0)
    assert.ok(report.sections.some((section: { name: string }) => section.name === 'Configuration'))
    await writeFile(join(home, 'gatehouse.yaml'), 'server:\n  port: many\n')
    const broken = await gatehouse(['doctor'], { GATEHOUSE_URL: NOBODY })
    assert.equal(broken.code, 1)
    assert.match(broken.stdout, /✗ .*line 2.*server\.port/)
    assert.equal((await gatehouse(['config', 'validate'])).code, 1)
    await rm(join(home, 'gatehouse.yaml'))
  })

  it('a server lets the terminal of its home in without set-up, and takes the key back when it stops', async () => {
    const server = startCli(['serve', '--port', '0'], { home })
    await server.says('Gatehouse is ready')
    const path = join(home, 'run', 'server.json')
    const { url, token } = JSON.parse(await readFile(path, 'utf8'))
    if (process.platform !== 'win32') assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal((await gatehouse(['chat', 'Hello'])).code, 0)
    const status = JSON.parse((await gatehouse(['status', '--json'])).stdout)
    assert.deepEqual([status.url, status.ready, status.home], [url, true, home])
    assert.equal((await gatehouse(['sessions', '--token', `${token}x`])).code, 4)
    assert.equal((await gatehouse(['stop'])).code, 0)
    assert.equal((await server.ended).code, 0)
    await assert.rejects(stat(path))
    assert.equal((await gatehouse(['stop'])).code, 3)
  })

  it('stop ends no other program that has the number of a server that crashed', async () => {
    const other = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { stdio: 'ignore' })
    try {
      await writeRunFile(home, { url: NOBODY, pid: other.pid!, version: '', started_at: 0, token: 'old' })
      const { code, stderr } = await gatehouse(['stop'])
      assert.equal(code, 3)
      assert.match(stderr, /does not answer/)
      assert.equal(other.exitCode ?? other.signalCode, null)
    } finally {
      other.kill('SIGKILL')
      await rm(join(home, 'run'), { recursive: true })
    }
  })

  it("a server's key goes to that server only", async () => {
    const file = { url: 'http://127.0.0.1:1234', pid: process.pid, version: '', started_at: 0, token: 'secret' }
    await writeRunFile(home, file)
    assert.equal((await findTarget({ env: {}, home })).token, 'secret')
    assert.equal((await findTarget({ env: {}, home, server: 'http://127.0.0.1:1234/' })).token, 'secret')
    assert.equal((await findTarget({ env: {}, home, server: 'http://127.0.0.1:1235' })).token, undefined)
    await writeRunFile(home, { ...file, pid: 2 ** 22 + 1 })
    assert.deepEqual(await findTarget({ env: {}, home }), {
      url: 'http://127.0.0.1:8765',
      token: undefined,
      local: false,
    })
    await rm(join(home, 'run'), { recursive: true })
  })
})

describe('cli: parts', () => {
  it('the longest name of a command wins', () => {
    assert.equal(findCommand(['sessions', 'show', 'x']).command.name, 'sessions show')
    assert.equal(findCommand(['config', 'server']).command.name, 'config get')
    assert.deepEqual(findCommand(['config', 'server']).rest, ['server'])
  })

  it('text that would steer a terminal is taken out, also when it comes in pieces', () => {
    assert.equal(clean('a\x1b[1;31mb\x1b]8;;http://x\x07c\x1bPq#0\x1b\\d\x07\x00\re\nf\tg'), 'abcde\nf\tg')
    assert.equal(clean('\x1b]0;no end\nnext line'), '\nnext line')
    assert.equal(visible('7\u202e7 \u200b\x1b'), '7\\u{202e}7 \\u{200b}\\u{1b}')
    assert.equal(visible(' 77 '), '\\u{20}77\\u{20}')
    assert.equal(visible('@ada:example.org Ünï'), '@ada:example.org Ünï')
    assert.equal(clean('naïve 日本 👋🏽 \u200d'), 'naïve 日本 👋🏽 \u200d')
    for (const pieces of [['a\x1b', '[31mb'], ['a\x1b[3', '1mb'], ['a\x1b]0;ti', 'tle\x07b'], ['a', '\x1b[31', 'mb']]) {
      const next = createCleaner()
      assert.equal(pieces.map(next).join(''), 'ab', JSON.stringify(pieces))
    }
    const text = safeJson({ name: 'a\x9b2J\u202e\x1b' })
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(text, /[\x00-\x1f\x7f-\x9f\u202e]/)
    assert.deepEqual(JSON.parse(text), { name: 'a\x9b2J\u202e\x1b' })
  })
})
