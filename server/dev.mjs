// `npm run dev`: the server, started again with each change, and the page, reloading itself, on example data. Uses no
// key, no network and not your own home, but `.dev-home` beside the code; `npm run dev -- --fresh` begins it anew.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const HOME = join(process.cwd(), '.dev-home')
const PAGE_PORT = 5173
const READY_MS = 60_000

const BINARIES = join(process.cwd(), 'node_modules/.bin')
const children = new Set()
let stopping = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(0))

if (process.argv.includes('--fresh')) rmSync(HOME, { recursive: true, force: true })
if (!existsSync(join(HOME, 'gatehouse.db'))) {
  console.log('dev: making example data')
  const code = await ended(run('node', ['server/dev/seed.ts', HOME]))
  if (code !== 0) {
    // Half of the examples would look like a fault of the program.
    rmSync(HOME, { recursive: true, force: true })
    process.exit(1)
  }
}

const apiPort = await freePort(0)
const pagePort = await freePort(PAGE_PORT)
const page = `http://127.0.0.1:${pagePort}`

// Folders, for a server that was bundled at the set-up loads no source before the first change.
const watch = ['--watch-path=server', '--watch-path=shared', '--watch-preserve-output']
const server = run('node', [...watch, 'server/main.ts', '--home', HOME], {
  HOST: '127.0.0.1',
  PORT: String(apiPort),
  // Links that the server makes lead to the page that reloads itself.
  GATEHOUSE_SERVER__PUBLIC_URL: page,
})
const vite = run('vite', ['dev', '--port', String(pagePort), '--strictPort', '--clearScreen', 'false'], {
  API: `http://127.0.0.1:${apiPort}`,
}, 'web')
for (const child of [server, vite]) void ended(child).then((code) => stop(code || 1))

const link = await signInLink()
console.log(`\ndev: open ${link}\n     signs a browser in, once. Stop with Ctrl-C.\n`)

/** A link for one browser, from the running server, which lets its own account in; once the page answers too. */
async function signInLink() {
  for (const end = Date.now() + READY_MS; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 200))) {
    try {
      const { url, token } = JSON.parse(readFileSync(join(HOME, 'run', 'server.json'), 'utf8'))
      if (!url.endsWith(`:${apiPort}`) || !(await fetch(page)).ok) continue
      const response = await fetch(`${url}/api/pairings/browser`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{}',
      })
      if (response.ok) return (await response.json()).url
    } catch {
      // Not there yet.
    }
  }
  console.error('dev: the server did not get ready within a minute')
  return stop(1)
}

function run(command, args, env = {}, cwd = '.') {
  const child = spawn(command, args, {
    cwd,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, PATH: `${BINARIES}${delimiter}${process.env.PATH ?? ''}`, ...env },
    shell: process.platform === 'win32',
  })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** The exit code of a child; 1 for one that could not be started or was killed. */
function ended(child) {
  return new Promise((resolve) => {
    child.once('error', () => resolve(1))
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

/** Ends what runs, then this; whoever does not want to end is killed after five seconds. */
async function stop(code) {
  if (stopping) return
  stopping = true
  const running = [...children]
  const timer = setTimeout(() => running.forEach((child) => child.kill('SIGKILL')), 5000)
  for (const child of running) child.kill('SIGTERM')
  await Promise.all(running.map(ended))
  clearTimeout(timer)
  process.exit(code)
}

/** `wanted`, or another one when it is taken. */
function freePort(wanted) {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(freePort(0)))
    probe.listen(wanted, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}
