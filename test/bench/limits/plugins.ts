import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { Hono } from 'hono'
import * as v from 'valibot'
import { createJournal } from '../../../server/plugins/journal.ts'
import { createPace } from '../../../server/plugins/pace.ts'
import { createProcess } from '../../../server/plugins/process.ts'
import { createUnit } from '../../../server/plugins/unit.ts'
import { currentRuntime } from '../../../server/runtime/current.ts'
import { Plugins } from '../../../shared/plugin-settings.ts'
import { listen } from './listen.ts'

// One program with both: a child over bare pipes, and the same child behind the whole plugin host.
const runtime = await currentRuntime()
const home = mkdtempSync(join(tmpdir(), 'gatehouse-bench-plugins-'))
process.on('exit', () => rmSync(home, { recursive: true, force: true }))
const env = { PATH: process.env.PATH! }
const start = (program = process.env.PEER!) => runtime.spawn(process.env.NODE!, [program], { env, cwd: home })

type Send = (id: string, content: string) => Promise<unknown>

async function bare(): Promise<Send> {
  const child = await start()
  const waiting = new Map<string, (value: unknown) => void>()
  const encoder = new TextEncoder()
  let ready: () => void = () => {}
  const isReady = new Promise<void>((resolve) => (ready = resolve))
  void (async () => {
    const decoder = new TextDecoder()
    let buffer = ''
    for await (const chunk of child.stdout) {
      buffer += decoder.decode(chunk, { stream: true })
      const lines = buffer.split('\n')
      buffer = lines.pop()!
      for (const line of lines) {
        const { type, request_id } = JSON.parse(line) as { type: string; request_id: string }
        if (type === 'ready') ready()
        waiting.get(request_id)?.(undefined)
        waiting.delete(request_id)
      }
    }
  })()
  await isReady
  return (id, content) => {
    const answer = new Promise((resolve) => waiting.set(id, resolve))
    const line = JSON.stringify({ type: 'send_message', request_id: id, chat_id: '1', content })
    void child.write(encoder.encode(line + '\n'))
    return answer
  }
}

/** A program behind the whole plugin host, ready. */
async function host(program?: string) {
  const settings = v.parse(Plugins, {})
  const quiet = () => {}
  const journal = createJournal({
    name: 'bench',
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    now: Date.now,
  })
  const unit = createUnit({
    name: 'bench',
    manifest: () => undefined,
    policy: () => 'never',
    settings: () => settings,
    journal,
    now: Date.now,
    open: async (receive) => {
      const pace = createPace({ perSecond: () => 200, holdMs: () => 20_000 })
      const child = await start(program)
      const holdMs = () => 20_000
      return {
        process: createProcess(child, {
          pace,
          holdMs,
          receive,
          onLog: quiet,
          onDropped: quiet,
          sweep: async () => {},
        }),
      }
    },
    onEvent: async () => {},
    onState: quiet,
    onQuarantine: quiet,
    isOnDemand: () => false,
    keep: () => {},
    state: () => Promise.reject(new Error('it has none')),
    dataDir: () => undefined,
  })
  unit.supervisor.start()
  while (unit.gateway.state !== 'ready') await new Promise((resolve) => setTimeout(resolve, 5))
  return unit
}

async function hosted(): Promise<Send> {
  const unit = await host()
  return (request_id, content) => unit.gateway.command({ type: 'send_message', chat_id: '1', content }, { request_id })
}

const peers: Record<string, Promise<Send>> = { bare: bare(), hosted: hosted() }

/** Round trips with so many under way, for a while. */
async function measure(send: Send, { concurrency, ms, bytes }: { concurrency: number; ms: number; bytes: number }) {
  const content = 'x'.repeat(bytes)
  const times: number[] = []
  let next = 0
  const cpu = process.cpuUsage()
  const begin = performance.now()
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (performance.now() - begin < ms) {
        const at = performance.now()
        await send(`01KHW3Q7M8ZB4T5R6Y${String(++next).padStart(8, '0')}`, content)
        times.push(performance.now() - at)
      }
    }),
  )
  const took = performance.now() - begin
  const { user, system } = process.cpuUsage(cpu)
  times.sort((a, b) => a - b)
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]! * 1000
  return { perSecond: times.length / took * 1000, p50: at(0.5), p99: at(0.99), cpu: (user + system) / times.length }
}

const app = new Hono()
app.get('/health', (c) => c.json({ ok: true }))
app.get('/:peer', async (c) => {
  const [concurrency, ms, bytes] = ['concurrency', 'ms', 'bytes'].map((name) => Number(c.req.query(name)))
  const peer = await peers[c.req.param('peer')]!
  const flood = c.req.query('flood') === undefined ? undefined : await host(process.env.FLOOD)
  const measured = await measure(peer, { concurrency: concurrency!, ms: ms!, bytes: bytes! })
  await flood?.supervisor.stop()
  return c.json(measured)
})
await listen(app)
