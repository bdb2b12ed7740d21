// Prepares a fresh clone; also runs on the system's Node 20, so it is plain JavaScript. `node server/setup.mjs [--ui]`
// installs the packages once per lock file and, with --ui, builds the control UI once per state of its sources.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const BINARIES = join(process.cwd(), 'node_modules/.bin')
const NOT_SOURCES = new Set(['node_modules', 'build', '.svelte-kit', 'dist'])

if (Number(process.versions.node.split('.')[0]) < 20) {
  console.error(`Gatehouse needs Node 20.19 or newer to set itself up; this is ${process.version}`)
  process.exit(1)
}

const lock = hash([readFileSync('package-lock.json'), process.platform, process.arch])
once('node_modules/.setup', lock, () => {
  console.error('setup: installing packages')
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
})
refuseOldNode()
if (process.argv.includes('--ui')) buildUi()
bundleServer()

/** Where no Node comes with the packages, as on macOS, the system's runs the server, which is TypeScript as it stands. */
function refuseOldNode() {
  const packaged = existsSync(join(BINARIES, 'node')) || existsSync(join(BINARIES, 'node.cmd'))
  const otherRuntime = ['prestart:deno', 'prestart:bun'].includes(process.env.npm_lifecycle_event)
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (packaged || otherRuntime || major > 22 || (major === 22 && minor >= 18)) return
  console.error(
    `Gatehouse runs on Node 22.18 or newer; this is ${process.version}. ` +
      'Install a newer one, or use "npm run start:deno" or "npm run start:bun".',
  )
  process.exit(1)
}

function buildUi() {
  if (!existsSync('web/vite.config.ts')) {
    console.error('setup: web/vite.config.ts is missing, so there is no control UI to build')
    return
  }
  // The types of shared/ are compiled into the page.
  const sources = [...filesBelow('web'), ...filesBelow('shared')].sort()
  const state = hash([lock, ...sources.flatMap((file) => [file, readFileSync(file)])])
  once('web/build/.setup', state, () => {
    console.error('setup: building the control UI')
    run('vite', ['build', '--logLevel', 'warn'], { cwd: 'web', quiet: true })
  })
}

/** A start reads a few files instead of 450; without it the server runs from its sources. */
function bundleServer() {
  if (!existsSync('node_modules/vite')) return
  const sources = ['server', 'shared'].flatMap(filesBelow).filter((file) => /\.(ts|mjs)$/.test(file)).sort()
  const state = hash([lock, ...sources.flatMap((file) => [file, readFileSync(file), String(statSync(file).mtimeMs)])])
  once('node_modules/.gatehouse/.setup', state, () => run('node', ['server/bundle.mjs'], { quiet: true }))
}

/** Does the work unless the stamp says that it was done for this state; a work that fails leaves no stamp. */
function once(stamp, state, work) {
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === state) return
  work()
  mkdirSync(join(stamp, '..'), { recursive: true })
  writeFileSync(stamp, state)
}

/** A quiet command is heard only when it fails. */
function run(command, args, { cwd = '.', quiet = false } = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd,
    // stdout belongs to the program that runs after the set-up.
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['ignore', 2, 2],
    encoding: 'utf8',
    shell: process.platform === 'win32',
    env: { ...process.env, PATH: `${BINARIES}${delimiter}${process.env.PATH ?? ''}` },
  })
  if (status === 0) return
  if (quiet) console.error(`${stdout ?? ''}${stderr ?? ''}`)
  console.error(`setup: "${command} ${args.join(' ')}" failed${error ? `: ${error.message}` : ''}`)
  process.exit(status || 1)
}

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (NOT_SOURCES.has(entry.name) || entry.name.endsWith('.timestamp')) return []
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : []
  })
}

function hash(parts) {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part).update('\0')
  return sum.digest('hex')
}
