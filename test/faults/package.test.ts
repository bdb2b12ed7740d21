import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '..', '..')
/** How each runtime starts the program of the package. */
const RUNTIMES: [name: string, command: string[]][] = [
  ['node', [process.execPath]],
  ['deno', [join(ROOT, 'node_modules/.bin/deno'), 'run', '-A']],
  ['bun', [join(ROOT, 'node_modules/.bin/bun')]],
]

describe('the npm package', () => {
  let folder: string
  let main: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-package-'))
    const installed = join(folder, 'node_modules', 'gatehouse')
    main = join(installed, 'server', 'main.js')
    await run(process.execPath, [join(ROOT, 'server/package.mjs'), installed])
    const { dependencies } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
    for (const name of Object.keys(dependencies)) {
      const link = join(folder, 'node_modules', name)
      await mkdir(dirname(link), { recursive: true })
      await symlink(join(ROOT, 'node_modules', name), link, 'junction')
    }
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it('holds JavaScript, the pages and the migrations, and asks for none of our tools', async () => {
    const files = await readdir(dirname(dirname(main)), { recursive: true })
    assert.ok(files.includes(join('web', 'build', 'index.html')))
    assert.ok(files.some((file) => /migrations.*\.sql$/.test(file)))
    assert.deepEqual(files.filter((file) => /(?<!\.d)\.ts$|\.test\.js$|\.setup$/.test(file)), [])
    const manifest = JSON.parse(await readFile(join(folder, 'node_modules/gatehouse/package.json'), 'utf8'))
    assert.deepEqual([
      manifest.bin.gatehouse,
      manifest.optionalDependencies,
      manifest.devDependencies,
      manifest.private,
    ], [
      'server/main.js',
      undefined,
      undefined,
      undefined,
    ])
  })

  it('holds the plugins that come with the server, ready to run', async () => {
    const plugins = join(dirname(dirname(main)), 'plugins')
    const { entry } = JSON.parse(await readFile(join(plugins, 'echo', 'plugin.json'), 'utf8'))
    assert.equal(entry, 'main.js')
    const echo = spawn(process.execPath, [join(plugins, 'echo', entry)], { stdio: ['pipe', 'pipe', 'inherit'] })
    echo.stdin.end('{"type":"ping","request_id":"a"}\n')
    let said = ''
    for await (const text of echo.stdout.setEncoding('utf8')) said += text
    assert.match(said, /"type":"ready"/)
  })

  for (const [name, [command = '', ...args]] of RUNTIMES) {
    it(`serves and talks on ${name} from below node_modules`, async () => {
      const home = join(folder, `home-${name}`)
      const env = {
        PATH: process.env.PATH ?? '',
        HOME: folder,
        GATEHOUSE_HOME: home,
        OLLAMA_HOST: 'http://127.0.0.1:9',
      }
      const server = spawn(command, [...args, main, '--port', '0'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
      const ended = once(server, 'exit')
      try {
        let said = ''
        for await (const text of server.stdout.setEncoding('utf8')) {
          said += text
          if (said.includes('Gatehouse is ready')) break
        }
        const url = /address {2}(\S+)/.exec(said)?.[1]
        const page = await fetch(`${url}/`, { headers: { accept: 'text/html' } })
        assert.match(await page.text(), /<html/)
        const gatehouse = (...words: string[]) => run(command, [...args, main, ...words], { env })
        assert.match((await gatehouse('--version')).stdout, /^gatehouse \d/)
        const chat = run(command, [...args, main, 'chat', 'What is 6*7?'], { env })
        chat.child.stdin?.end()
        assert.match((await chat).stdout, /42/)
      } finally {
        server.kill('SIGTERM')
        await ended
      }
    })
  }
})
