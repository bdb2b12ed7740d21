// Formats, lints, type-checks and runs the quick tests: what to do before a push. `--check` changes no file and
// complains about the format instead, for a machine that looks at other people's changes.
import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const onlyLook = process.argv.includes('--check')
const children = new Set()
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    for (const child of children) child.kill(signal)
    process.exit(1)
  })
}

const started = Date.now()
await run('set-up', ['node', 'server/setup.mjs', '--ui'])
// What changes or reads every file goes first: nothing else may see a file half written.
const format = await run('format', ['deno', 'fmt', '--unstable-component', onlyLook ? '--check' : '--quiet'])
const others = await Promise.all([
  run('lint', ['oxlint', '--quiet']),
  run('types', ['tsc', '--noEmit', '-p', '.']),
  run('page', ['svelte-check', '--workspace', 'web', '--tsconfig', './tsconfig.json', '--output', 'human']),
])
// Last, alone: tests have deadlines.
const results = [format, ...others, await run('tests', ['node', 'test/run.mjs', '--fast'])]
console.log(`${results.every(Boolean) ? 'all good' : 'not good yet'} after ${seconds(started)}`)
process.exitCode = results.every(Boolean) ? 0 : 1

/** Runs one command; says in a line how it went, and everything that it printed when it failed. */
function run(name, [command, ...args]) {
  const began = Date.now()
  return new Promise((resolve) => {
    let out = ''
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: `${join(process.cwd(), 'node_modules/.bin')}${delimiter}${process.env.PATH ?? ''}`,
        NO_COLOR: '1',
        FORCE_COLOR: undefined,
      },
      shell: process.platform === 'win32',
    })
    children.add(child)
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (out += text))
    child.on('error', (error) => done(false, error.message))
    child.on('close', (code) => done(code === 0, out))

    function done(good, text) {
      children.delete(child)
      console.log(`${good ? 'ok  ' : 'FAIL'}  ${name.padEnd(6)}  ${seconds(began)}`)
      if (!good) console.log(text.trimEnd())
      resolve(good)
    }
  })
}

function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`
}
