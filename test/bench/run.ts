import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import type { Bench } from './bench.ts'
import { channels } from './cases/channels.ts'
import { fanout } from './cases/fanout.ts'
import { json } from './cases/json.ts'
import { memory } from './cases/memory.ts'
import { open } from './cases/open.ts'
import { plugins } from './cases/plugins.ts'
import { start } from './cases/start.ts'
import { stream } from './cases/stream.ts'
import { tools } from './cases/tools.ts'
import { turns } from './cases/turns.ts'
import { type RuntimeName, startProgram } from './processes.ts'
import { printTable, type Row } from './table.ts'

const CASES = { start, memory, json, stream, fanout, turns, open, tools, plugins, channels }
const RUNTIMES: RuntimeName[] = ['node', 'deno', 'bun']

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(CASES).join() },
    runtime: { type: 'string', default: RUNTIMES.join() },
    quick: { type: 'boolean', default: false },
    growth: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(
    `npm run bench -- [--only ${Object.keys(CASES).join()}] [--runtime ${RUNTIMES.join()}] [--quick] [--json FILE]
  --growth N   turns beyond the usual ones, to see whether memory grows (default 2000; 0 with --quick)

Prints what a bare program of the same runtime takes (limit), what the server takes (ours), and their ratio.
Nothing here passes or fails: look at ratios of one run, and at processor time before wall-clock time.`,
  )
  process.exit(0)
}

const cases = chosen('only', values.only, Object.keys(CASES) as (keyof typeof CASES)[])
const runtimes = chosen('runtime', values.runtime, RUNTIMES)
const rows: Row[] = []
const upstream = await startProgram({ runtime: 'node', file: 'test/bench/upstream.ts', health: '/v1/models' })
try {
  for (const runtime of runtimes) {
    for (const name of cases) {
      process.stderr.write(`${runtime} ${name}…\n`)
      const bench: Bench = {
        runtime,
        quick: values.quick,
        growth: Number(values.growth ?? (values.quick ? 0 : 2000)),
        upstream,
        add: (row) => void rows.push({ case: name, runtime, ...row }),
      }
      // A case that fails leaves its row out and says why; the others go on.
      await CASES[name](bench).catch((error) => console.error(`${runtime} ${name} failed:`, error))
    }
  }
} finally {
  await upstream.stop()
}
rows.sort((a, b) => cases.indexOf(a.case as never) - cases.indexOf(b.case as never))
printTable(rows)
if (values.json) await writeFile(values.json, JSON.stringify({ at: new Date().toISOString(), rows }, null, 2))

function chosen<T extends string>(flag: string, given: string, known: T[]): T[] {
  const names = given.split(',').filter(Boolean)
  const wrong = names.find((name) => !known.includes(name as T))
  if (wrong === undefined) return known.filter((name) => names.includes(name))
  console.error(`--${flag}: ${wrong} is none of ${known.join(', ')}`)
  process.exit(2)
}
