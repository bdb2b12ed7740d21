// Runs every suite: the same files on Node, Deno and Bun, then the browser. `--fast` runs the quick ones on Node only.
// A file that failed beside others is run again with nothing beside it and has to pass twice; what it printed is shown,
// and the end names it as unsteady. More than three such files have failed.
// The last line is always `N passed, N failed, N skipped`.
import { spawn } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const MINUTE = 60_000
// Every file is a process that loads the server: on Node what one of them compiled serves the others.
const compiled = mkdtempSync(join(tmpdir(), 'gatehouse-compiled-'))
process.on('exit', () => rmSync(compiled, { recursive: true, force: true }))
const fast = process.argv.includes('--fast')
const all = ['test', 'server', 'shared', 'plugins', 'web/src']
  .flatMap((folder) =>
    globSync(`${folder}/**/*.test.ts`, { exclude: (path) => /node_modules|test\/(bench|e2e)/.test(path) })
  )
  .map((file) => file.replaceAll('\\', '/'))
  .sort()
// Faults kill real processes and fill real disks: once is enough, unless the file is named after a runtime.
const isFault = (file) => file.startsWith('test/faults/')
const everywhere = all.filter((file) => !isFault(file))
const filesOf = (runtime) => all.filter((file) => isFault(file) ? file.endsWith(`.${runtime}.test.ts`) : true)
const faultsOnNode = all.filter((file) => isFault(file) && !/\.(deno|bun)\.test\.ts$/.test(file))

const node = {
  name: 'node',
  command: ['node', '--test', '--test-reporter=spec', '--test-force-exit', '--test-concurrency=2'],
  read: (
    out,
  ) => [
    count(out, /^ℹ pass (\d+)/m),
    count(out, /^ℹ fail (\d+)/m) + count(out, /^ℹ cancelled (\d+)/m),
    count(out, /^ℹ skipped (\d+)/m) + count(out, /^ℹ todo (\d+)/m),
  ],
}

/** Starts no process and waits for no clock of a runtime. */
const isQuick = (file) =>
  !file.startsWith('test/runtime/') &&
  !/'node:child_process'|support\/(cli|process)\.ts'/.test(readFileSync(file, 'utf8'))

const suites = fast
  ? [{
    ...node,
    command: [...node.command, `--test-concurrency=${Math.max(2, availableParallelism())}`],
    files: everywhere.filter(isQuick),
  }]
  : [
    // Without `--test`, which would take the brackets of a folder's name for a pattern.
    {
      ...node,
      command: ['node', '--test-reporter=spec', '--test-force-exit'],
      files: [...faultsOnNode, ...everywhere],
      apart: true,
    },
    {
      name: 'deno',
      command: ['deno', 'test', '-A', '--no-check', '--no-prompt', '--preload=test/support/deno-settle.ts'],
      files: filesOf('deno'),
      read: readDeno,
      apart: true,
    },
    {
      name: 'bun',
      command: ['bun', 'test', '--timeout', '60000'],
      files: filesOf('bun').map((file) => `./${file}`),
      apart: true,
      read: (
        out,
      ) => [count(out, /^ *(\d+) pass$/m), count(out, /^ *(\d+) fail$/m), count(out, /^ *(\d+) (?:skip|todo)$/m)],
    },
  ]
const browser = {
  name: 'browser',
  command: ['playwright', 'test', '-c', 'test/e2e/playwright.config.ts', '--reporter=list'],
  files: [],
  read: readPlaywright,
}

const MAX_UNSTEADY = 3
const total = [0, 0, 0]
const failures = []
const unsteady = []
const queue = suites.flatMap((suite) =>
  (suite.apart ? suite.files.map((file) => [file]) : [suite.files]).map((files) => ({ suite, files }))
)
// Two more than there are cores, for tests wait a lot; not many more, for they have deadlines.
const lanes = Math.min(availableParallelism() + 2, 6)
await Promise.all(Array.from({ length: lanes }, async () => {
  for (let task = queue.shift(); task; task = queue.shift()) {
    await run(task.suite, task.files)
  }
}))
for (const failure of failures) await again(failure, failures.length <= MAX_UNSTEADY)
for (const suite of suites) summary(suite)
// By itself: a browser in a hurry is another browser.
if (!fast && existsSync('test/e2e/playwright.config.ts')) {
  await run(browser, [])
  summary(browser)
}

if (unsteady.length > 0) console.log(`\nUnsteady, failed beside others and passed alone:\n${unsteady.join('\n')}`)
const [passed, failed, skipped] = total
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0

/** Runs files of a suite in one process and adds up what came of it, or keeps what failed for a second look. */
async function run(suite, files) {
  const began = Date.now()
  const counts = await attempt(suite, files)
  suite.times ??= []
  suite.times.push({ files, seconds: Math.round((Date.now() - began) / 1000) })
  if (counts[1] > 0 && suite.apart) failures.push({ suite, files, counts })
  else add(suite, counts)
}

/** A machine that did too much at once is told from a fault: with nothing beside it, a sound file passes each time. */
async function again({ suite, files, counts }, worthwhile) {
  for (let i = 0; worthwhile && i < 2; i++) {
    counts = await attempt(suite, files)
    worthwhile = counts[1] === 0
  }
  if (worthwhile) unsteady.push(`${suite.name} ${files}`)
  add(suite, counts)
}

function add(suite, counts) {
  suite.counts ??= [0, 0, 0]
  counts.forEach((n, i) => {
    suite.counts[i] += n
    total[i] += n
  })
}

function summary({ name, counts: [passed, failed, skipped], times }) {
  const slow = times.filter(({ seconds }) => seconds >= 15).sort((a, b) => b.seconds - a.seconds)
  const seconds = times.reduce((sum, one) => sum + one.seconds, 0)
  if (!fast) { for (const one of slow) console.log(`${String(one.seconds).padStart(5)} s  ${name} ${one.files}`) }
  console.log(`\n== ${name}: ${passed} passed, ${failed} failed, ${skipped} skipped in ${seconds} s of its own`)
}

/** What died, hung or found nothing is a failure, whatever it printed before; what a failure printed is shown. */
async function attempt({ name, command, read }, files) {
  const { out, code, signal, timedOut } = await launch(command, files)
  const counts = read(out)
  if (timedOut || ((code !== 0 || signal) && counts[1] === 0) || counts[0] + counts[2] === 0) counts[1]++
  if (timedOut) console.log(`${name}: ${files} did not end within 15 minutes`)
  if (counts[1] > 0) console.log(`${out}\n${name}: ${files} failed${signal ? ` by ${signal}` : ''}`)
  return counts
}

/** Runs a command to its end, or kills it with everything that it started after 15 minutes. */
function launch(command, files) {
  return new Promise((resolve) => {
    let out = ''
    let timedOut = false
    const child = spawn(command[0], [...command.slice(1), ...files], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: {
        ...process.env,
        PATH: `${join(process.cwd(), 'node_modules/.bin')}${delimiter}${process.env.PATH ?? ''}`,
        NO_COLOR: '1',
        NODE_COMPILE_CACHE: compiled,
        // Even `0` turns colours on in Deno, and then the sums can't be read.
        FORCE_COLOR: undefined,
      },
    })
    const timer = setTimeout(() => {
      timedOut = true
      killGroup(child.pid, 'SIGKILL')
    }, 15 * MINUTE)
    const stop = () => killGroup(child.pid, 'SIGTERM')
    process.once('SIGTERM', stop).once('SIGINT', stop)
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (out += text))
    child.on('error', (error) => {
      out += `${error.message}\n`
      done(1, null)
    })
    child.on('exit', (code, signal) => setTimeout(() => done(code, signal), 200))

    function done(code, signal) {
      clearTimeout(timer)
      process.off('SIGTERM', stop).off('SIGINT', stop)
      killGroup(child.pid, 'SIGKILL')
      resolve({ out, code, signal, timedOut })
    }
  })
}

/** What a suite left behind ends with it. */
function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal)
  } catch {
    // Nothing was left.
  }
}

/** A describe is one test with steps: what counts are the steps, and a test that failed outside of them. */
function readDeno(out) {
  const line = /^(?:ok|FAILED) \| (.*)$/m.exec(out)?.[1] ?? ''
  return ['passed', 'failed', 'ignored'].map((word) => {
    const [, tests, steps] = new RegExp(`(\\d+) ${word}(?: \\((\\d+) steps?\\))?`).exec(line) ?? []
    return Math.max(Number(tests ?? 0), Number(steps ?? 0))
  })
}

/** What passed on its second try in a browser of its own is unsteady too. */
function readPlaywright(out) {
  const [, flaky = '0', titles = ''] = /^ *(\d+) flaky\n((?: {4}.*\n)*)/m.exec(out) ?? []
  unsteady.push(...titles.split('\n').map((title) => title.trim()).filter(Boolean))
  const failed = count(out, /^ *(\d+) failed/m) + (Number(flaky) > MAX_UNSTEADY ? Number(flaky) : 0)
  return [count(out, /^ *(\d+) passed/m) + Number(flaky), failed, count(out, /^ *(\d+) skipped/m)]
}

function count(out, pattern) {
  return Number(pattern.exec(out)?.[1] ?? 0)
}
