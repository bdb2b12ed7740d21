import assert from 'node:assert/strict'
import { chmod, cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { type ConformanceReport, runConformance } from '../server/plugins/conformance/run.ts'
import { openTarget, type Settings } from '../server/plugins/conformance/target.ts'
import { currentRuntime } from '../server/runtime/current.ts'
import { runCli } from './support/cli.ts'

const PLUGINS = join(import.meta.dirname, '..', 'plugins')
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gatehouse-kit-'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function examine(words: string[], settings: Settings = {}): Promise<ConformanceReport> {
  const target = await openTarget(words, { runtime: await currentRuntime(), environment: process.env, settings })
  return await runConformance(target)
}

/** What failed, with its message. */
const failures = (report: ConformanceReport): Record<string, string> =>
  Object.fromEntries(
    report.sections.flatMap(({ checks }) => checks).filter(({ status }) => status === 'fail')
      .map(({ id, message }) => [id, message ?? '']),
  )

/** A plugin in a few lines of JavaScript; `say` writes a record, `on` handles each command. */
async function sloppy(name: string, source: string): Promise<string[]> {
  const file = join(folder, `${name}.mjs`)
  await writeFile(
    file,
    `
    import process from 'node:process'
    const say = (type, fields) => process.stdout.write(JSON.stringify({ type, ...fields }) + '\\n')
    const ready = () => say('ready', { gateway: 'sloppy', version: 'v1alpha1', capabilities: [] })
    const answer = ({ type, request_id }) => {
      if (type === 'ping') say('pong', { request_id, uptime_seconds: 1, connected: true })
      else if (type !== 'send_typing' && request_id) say('command_ok', { request_id })
    }
    const take = (line, on) => {
      let command
      try { command = JSON.parse(line) } catch { return }
      if (command?.type === 'shutdown') process.exit(0)
      on(command ?? {})
    }
    let rest = ''
    const listen = (on) => process.stdin.setEncoding('utf8').on('data', (text) => {
      const lines = (rest + text).split('\\n')
      rest = lines.pop()
      for (const line of lines) take(line, on)
    }).on('end', () => process.exit(0))
    ${source}
  `,
  )
  return [process.execPath, ...(process.versions.deno ? ['run', '-A', '--no-check'] : []), file]
}

describe('the conformance kit', () => {
  for (const name of ['echo', 'examples/echo-python', 'examples/echo-sh']) {
    it(`finds nothing wrong with plugins/${name}`, { timeout: 120_000 }, async () => {
      const report = await examine([join(PLUGINS, name)])
      assert.deepEqual(failures(report), {})
      assert.equal(report.ok, true)
      assert.ok(report.summary.pass > 25)
    })
  }

  it('passes a program of a few lines that does what the protocol asks', { timeout: 120_000 }, async () => {
    assert.deepEqual(failures(await examine(await sloppy('good', 'ready(); listen(answer)'))), {})
  })

  it('asks a plugin without a channel for nothing of a channel, and names the settings that it lacks', {
    timeout: 120_000,
  }, async () => {
    const [file] = (await sloppy(
      'tool-only',
      `const own = { gateway: 'tool_only', version: 'v1alpha1', capabilities: [] }
      listen((command) => {
        if (command.type === 'configure' && command.config.unit === 'c' && command.config.city) say('ready', own)
        else if (command.type === 'configure') process.exit(1)
        else if (command.type === 'ping') answer(command)
        else if (command.type === 'call') say('failed', { call_id: command.call_id, code: 'unknown', message: 'no' })
      })`,
    )).slice(-1)
    const home = join(folder, 'tool-only')
    await mkdir(home)
    await cp(file!, join(home, 'main.mjs'))
    const manifest = {
      id: 'tool_only',
      name: 'Tool only',
      version: '1.0.0',
      entry: 'main.mjs',
      tools: [{ name: 'look', effect: 'read' }],
      config_schema: {
        type: 'object',
        properties: { unit: { type: 'string', default: 'c' }, city: { type: 'string' } },
        required: ['city'],
      },
    }
    await writeFile(join(home, 'plugin.json'), JSON.stringify(manifest))
    const lacking = await examine([home])
    assert.match(failures(lacking).ready!, /was not given city/)
    const report = await examine([home], { config: { city: 'Bern' } })
    const skipped = report.sections.flatMap(({ checks }) => checks).filter(({ status }) => status === 'skip')
    assert.ok(skipped.some(({ id, message }) => id === 'send' && message === 'Its manifest names no channel'))
    assert.deepEqual(failures(report), {})
  })

  it('names the line that is no record, and the field that is wrong', { timeout: 120_000 }, async () => {
    const report = await examine(await sloppy('prints', `console.log('Hello!'); ready(); listen(answer)`))
    assert.deepEqual(Object.keys(failures(report)), ['stdout'])
    assert.match(failures(report).stdout!, /Hello!.*|is no JSON/)
    const numbers = await examine(
      await sloppy(
        'numbers',
        `ready(); say('message_received', { message_id: 7, chat_id: '1', sender: { id: '1' },
          content: { type: 'text', text: '' }, routing: { channel: 'x', chat_type: 'dm', chat_id: '1', sender_id: '1' } })
        listen(answer)`,
      ),
    )
    assert.match(failures(numbers).stdout!, /message_received: message_id must be text/)
  })

  it('notices that lines are ended by more than LF', { timeout: 120_000 }, async () => {
    const words = await sloppy(
      'readline',
      `const { createInterface } = await import('node:readline')
      ready()
      createInterface({ input: process.stdin }).on('line', (line) => take(line, answer)).on('close', () => process.exit(0))`,
    )
    assert.deepEqual(Object.keys(failures(await examine(words))), ['line-ends'])
  })

  it('shows what a plugin that never gets ready said on stderr', { timeout: 120_000 }, async () => {
    const report = await examine(await sloppy('fails', `console.error('no token in TOKEN'); process.exit(3)`))
    const { ready } = failures(report)
    assert.match(ready!, /ended with code 3/)
    assert.match(ready!, /no token in TOKEN/)
    assert.ok(report.summary.skip > 15)
  })

  it(
    'notices double answers, invented ids, answered typing and unanswered commands',
    { timeout: 180_000 },
    async () => {
      const report = await examine(
        await sloppy(
          'answers',
          `ready()
        listen((command) => {
          if (command.type === 'send_typing') return say('command_ok', { request_id: 'typing' })
          if (command.type === 'delete_message') answer(command)
          answer(command)
        })`,
        ),
      )
      const found = failures(report)
      assert.deepEqual(Object.keys(found).sort(), ['ids', 'typing'])
      assert.match(found.ids!, /Answered twice/)
    },
  )

  it('notices that an unknown command is deadly', { timeout: 120_000 }, async () => {
    const report = await examine(
      await sloppy(
        'brittle',
        `ready(); listen((command) => { if (command.type === 'paint_message') throw new Error('what?'); answer(command) })`,
      ),
    )
    assert.match(failures(report).unknown!, /what\?/)
  })

  it('notices that a plugin outlives its input, or leaves a program behind', { timeout: 120_000 }, async () => {
    const stays = await sloppy(
      'stays',
      `ready()
      process.stdin.on('data', (data) => {
        for (const line of String(data).split('\\n')) { try { answer(JSON.parse(line)) } catch {} }
        if (String(data).includes('"shutdown"')) process.exit(1)
      })
      setInterval(() => {}, 1000)`,
    )
    const found = failures(await examine(stays))
    assert.match(found['input-ends']!, /still runs/)
    assert.match(found.shutdown!, /ended with code 1/)
    const leaves = await sloppy(
      'leaves',
      `const { spawn } = await import('node:child_process')
      spawn('sleep', ['60'], { stdio: 'ignore' }).unref()
      ready(); listen(answer)`,
    )
    const left = failures(await examine(leaves))
    if (process.platform === 'linux') assert.match(left.shutdown!, /left processes behind/)
  })

  it('reads a manifest without running anything', { timeout: 120_000 }, async () => {
    const plugin = join(folder, 'strange')
    await mkdir(plugin)
    await writeFile(join(folder, 'outside.ts'), `throw new Error('must not run')`)
    await symlink(join(folder, 'outside.ts'), join(plugin, 'main.ts'))
    await writeFile(
      join(plugin, 'plugin.json'),
      JSON.stringify({
        id: 'strange',
        name: 'Strange',
        version: '1',
        entry: 'main.ts',
        config_schema: { type: 'object', properties: { bot_token: { type: 'string' } }, required: ['server'] },
      }),
    )
    await chmod(join(plugin, 'plugin.json'), 0o666)
    const found = failures(await examine([plugin]))
    assert.match(found.entry!, /out of the folder/)
    assert.match(found.rights!, /plugin\.json may be written by everybody/)
    assert.match(found.settings!, /names no setting: server/)
    assert.match(found.secrets!, /bot_token/)
    await writeFile(join(plugin, 'plugin.json'), '{"id": "Strange!", "command": ["x"], "entry": "y"}')
    const { manifest } = failures(await examine([plugin]))
    assert.match(manifest!, /id must begin with a letter/)
    assert.match(manifest!, /name is missing/)
  })

  it('looks for the program among the arguments of one of the machine', { timeout: 120_000 }, async () => {
    const plugin = join(folder, 'script')
    await mkdir(plugin)
    await writeFile(join(folder, 'elsewhere.sh'), 'exit 0')
    await writeFile(join(plugin, 'main.sh'), 'exit 0')
    const entry = async (...command: string[]) => {
      const about = { id: 'script', name: 'Script', version: '1', command }
      await writeFile(join(plugin, 'plugin.json'), JSON.stringify(about))
      const { sections } = await examine([plugin])
      const { status, message } = sections.flatMap(({ checks }) => checks).find(({ id }) => id === 'entry')!
      return `${status} ${message ?? ''}`
    }
    assert.match(await entry('sh', '-e', 'main.sh'), /^pass/)
    assert.match(await entry('sh', 'main.sh', '../elsewhere.sh'), /^fail .*elsewhere\.sh leads out of the folder/)
    assert.match(await entry('sh', '-c', 'exit 0'), /^skip/)
  })

  it('is the command `gatehouse plugins test`, for people and as JSON', { timeout: 120_000 }, async () => {
    const copy = join(folder, 'echo-sh')
    await cp(join(PLUGINS, 'examples/echo-sh'), copy, { recursive: true })
    const people = await runCli(['plugins', 'test', copy], { home: folder })
    assert.equal(people.code, 0, people.stderr)
    assert.match(people.stdout, /✓ it answers a ping with its id/)
    assert.match(people.stdout, /\d+ passed, 0 failed/)
    const [program, ...args] = await sloppy('prints', `console.log('Hello!'); ready(); listen(answer)`)
    const json = await runCli(['plugins', 'test', '--json', '--', program!, ...args], { home: folder })
    assert.equal(json.code, 1, json.stderr)
    assert.equal((JSON.parse(json.stdout) as ConformanceReport).ok, false)
    const missing = await runCli(['plugins', 'test', join(folder, 'nothing-here')], { home: folder })
    assert.equal(missing.code, 1)
    assert.match(missing.stdout, /was not found/)
  })

  it('leaves nothing running', async () => {
    if (process.platform !== 'linux') return
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
    const { readFile } = await import('node:fs/promises')
    const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
    assert.deepEqual(lines.filter((line) => line.includes(folder)), [])
  })
})
