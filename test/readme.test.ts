import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'

const ROOT = join(import.meta.dirname, '..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const SCRIPTS = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> })
  .scripts
const BLOCKS = [...README.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, text]) => text!.trim())

/** `npm start` is the server that the others talk to; `npm test` would run this file again, without an end. */
const START = 'npm start'
const TEST = 'npm test'

const NOT_READMES = /node_modules|test-results|\.svelte-kit/
const READMES = globSync('**/README.md', { cwd: ROOT, exclude: (path) => NOT_READMES.test(path) })

/** What READMEs name that is not in the repository: parts of the home, what a build or a run leaves, an example. */
const ELSEWHERE = new Set([
  'gatehouse.yaml',
  'gatehouse.db',
  'secret.key',
  'vault/',
  'build/',
  '.env',
  '.dev-home',
  'node_modules',
  '0007-usage-cached-tokens.sql',
])

describe('README.md', () => {
  let home: string
  let server: ChildProcess
  let said = ''
  let url = ''

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'gatehouse-readme-'))
    server = shell(START, { PORT: '0' })
    url = await new Promise((resolve, reject) => {
      server.stdout!.setEncoding('utf8').on('data', (text: string) => {
        said += text
        const address = /^ {2}address {2}(\S+)$/m.exec(said)?.[1]
        if (address && /login#code=\S+\n/.test(said)) resolve(address)
      })
      server.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text))
      server.on('exit', (code) => reject(new Error(`npm start ended with ${code}:\n${said}`)))
    })
  })

  after(async () => {
    server.kill('SIGTERM')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
    await rm(home, { recursive: true, force: true, maxRetries: 5 })
  })

  it('begins with the two commands that it promises', () => {
    assert.deepEqual(BLOCKS.slice(0, 2), [START, TEST])
    assert.ok(SCRIPTS.start && SCRIPTS.test)
  })

  it('npm start prints its address, its home and a link that works once', async () => {
    assert.match(said, new RegExp(`^ {2}home {5}${home}$`, 'm'))
    const code = /login#code=(\S+)/.exec(said)![1]
    const redeem = () =>
      fetch(`${url}/api/auth/redeem`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: url },
        body: JSON.stringify({ code }),
      })
    assert.equal((await redeem()).status, 200)
    assert.equal((await redeem()).status, 401)
  })

  it('every other block runs as it stands, one after the other in one shell', { timeout: 60_000 }, async () => {
    const blocks = BLOCKS.filter((block) => block !== START && block !== TEST)
    const script = ['set -eu', ...blocks.flatMap((block, i) => [`echo "== block ${i + 1}"`, block])].join('\n')
    const child = shell(script, { GATEHOUSE_URL: url })
    let out = ''
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (out += text))
    }
    const [code] = await once(child, 'close') as [number | null]
    assert.equal(code, 0, out)
    // curl, the events, the WebSocket, the terminal's argument and its stdin: all were answered.
    for (const answer of [/"text":"[^"]*\b10\b/, /"turn_finished"/, /\b1024\b/, /\b255\b/, /\b7\b/, /max_steps.*30/]) {
      assert.match(out, answer)
    }
  })

  it('names only npm scripts that exist', () => {
    const named = [...README.matchAll(/\bnpm run (?:--silent )?([\w:]+)/g)].map(([, name]) => name!)
    assert.ok(named.length > 5)
    assert.deepEqual(named.filter((name) => !(name in SCRIPTS)), [])
  })

  /** A shell of a reader: in the checkout, with a home of its own, and no key or model of this machine. */
  function shell(script: string, env: Record<string, string>): ChildProcess {
    const { GATEHOUSE_TOKEN: _, OPENAI_API_KEY: __, ANTHROPIC_API_KEY: ___, ...inherited } = process.env
    return spawn('sh', ['-c', script.includes('\n') ? script : `exec ${script}`], {
      cwd: ROOT,
      env: { ...inherited, OLLAMA_HOST: 'http://127.0.0.1:9', GATEHOUSE_HOME: home, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }
})

describe('every README.md', () => {
  it('names only files and folders that exist', () => {
    assert.ok(READMES.includes('README.md') && READMES.length > 3)
    const missing = READMES.flatMap((file) =>
      pathsIn(readFileSync(join(ROOT, file), 'utf8'))
        .filter((path) => !ELSEWHERE.has(path) && !exists(path, dirname(file)))
        .map((path) => `${file}: ${path}`)
    )
    assert.deepEqual(missing, [])
  })
})

/** Targets of links, and words in backticks that look like a path of ours. */
function pathsIn(text: string): string[] {
  const prose = text.replace(/^```[^]*?^```$/gm, '')
  const links = [...prose.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, target]) => target!)
  const words = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, word]) => word!).filter((word) =>
    /^[\w.[\]<>*+-][\w.[\]<>*+/-]*$/.test(word) &&
    (word.endsWith('/') || /\.(ts|mjs|js|svelte|sql|md|json|yaml|css|html|key|db|png)$/.test(word))
  )
  return [...links.filter((target) => !/^[a-z]+:/.test(target)), ...words]
}

/** From the README's folder, anywhere below it, or from the root; `<name>` and `*` stand for anything. */
function exists(path: string, folder: string): boolean {
  const pattern = path.replace(/\/$/, '').replace(/<[^>]*>/g, '*')
  if ([folder, '.'].some((base) => existsSync(join(ROOT, base, pattern)))) return true
  if (!pattern.includes('*') && pattern.includes('/')) return false
  return [`${folder}/${pattern}`, `${folder}/**/${pattern}`].some((glob) => globSync(glob, { cwd: ROOT }).length > 0)
}
