import { readdir, readFile } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { ulid } from 'ulid'
import { type Bench, type Check, fail, lastWords, type Outcome, pass, skip, warn } from './check.ts'
import type { Probe } from './probe.ts'

/** What the protocol gives a plugin after `shutdown`; then it is killed. */
const GRACE_MS = 500
/** A busy machine may stop any process for a while: the quickest of so many counts. */
const TRIES = 3
const PATIENCE_MS = 5000

/** How a plugin ends, each with a process of its own. */
export const stopChecks: Check[] = [
  ending(
    'shutdown',
    `after shutdown it ends with code 0 within ${GRACE_MS} ms`,
    (probe) => probe.send({ type: 'shutdown' }),
  ),
  ending('shutdown-busy', 'it does so in the middle of its work too', async (probe, { chat }) => {
    const commands = Array.from({ length: 5 }, (_, i) => ({
      type: 'send_message',
      request_id: ulid(),
      chat_id: chat,
      content: `Message ${i}`,
    }))
    await probe.write(commands.map((command) => `${JSON.stringify(command)}\n`).join(''))
    await probe.send({ type: 'shutdown' })
  }),
  ending('input-ends', 'it ends when its input does, for then the server is gone', (probe) => probe.endInput()),
  ending('half-line', 'it ends when its input does in the middle of a line', async (probe) => {
    await probe.write('{"type":"send_mess')
    await probe.endInput()
  }),
  ending('terminate', 'it ends on SIGTERM', (probe) => Promise.resolve(probe.terminate()), { anyCode: true }),
  {
    id: 'early-shutdown',
    title: 'a shutdown that comes before it is ready ends it as well',
    async run(bench) {
      if (!bench.target.start) return skip('It does not start')
      const probe = await bench.fresh()
      await probe.send({ type: 'shutdown' })
      const ended = await probe.until(() => probe.ended(), PATIENCE_MS)
      return ended ? pass : fail(`It still runs after ${PATIENCE_MS / 1000} s`)
    },
  },
  {
    id: 'plain',
    title: 'it runs under a server that sends no settings as well',
    async run({ target }) {
      if (!target.startPlain) return skip('It speaks the Gateway Protocol alone')
      const probe = await target.startPlain()
      try {
        const said = await probe.until(
          () => probe.events.find(({ type }) => type === 'ready' || type === 'error'),
          10_000,
        )
        if (!said) return warn(`It says neither ready nor what is missing. ${lastWords(probe)}`)
        return said.type === 'error' ? { ...pass, message: `says what is missing: ${said.message}` } : pass
      } finally {
        await probe.kill()
      }
    },
  },
]

function ending(
  id: string,
  title: string,
  end: (probe: Probe, bench: Bench) => Promise<void>,
  options: { anyCode?: true } = {},
): Check {
  return {
    id,
    title,
    async run(bench) {
      if (!bench.target.start) return skip('It does not start')
      const first = await bench.shared()
      if (!first.events.some(({ type }) => type === 'ready')) return skip('It did not get ready')
      let outcome: Outcome = pass
      for (let i = 0; i < TRIES; i++) {
        const probe = await bench.fresh()
        if (!await probe.event('ready')) return fail(`Started again, it did not get ready. ${lastWords(probe)}`)
        const began = performance.now()
        // One that is gone already takes no input.
        await end(probe, bench).catch(() => {})
        const ended = await probe.until(() => probe.ended(), PATIENCE_MS)
        const ms = Math.round(performance.now() - began)
        if (!ended) return fail(`It still runs after ${PATIENCE_MS / 1000} s`)
        if (!options.anyCode && ended.code !== 0) {
          return fail(`It ended with ${ended.signal ?? `code ${ended.code}`}. ${lastWords(probe)}`)
        }
        const left = await groupOf(probe.pid)
        if (left.length > 0) return fail(`It left processes behind: ${left.join(', ')}`)
        if (ms <= GRACE_MS) return pass
        const words = `It took ${ms} ms; after ${GRACE_MS} ms it is killed`
        outcome = isBusy() ? warn(`${words}. This machine is too busy to tell.`) : fail(words)
      }
      return outcome
    },
  }
}

/** Whether programs wait for the processor most of the time; never where that is not known. */
const isBusy = (): boolean => loadavg()[0]! > 2 * availableParallelism()

/** Living members of a process group; empty where there is no `/proc`. */
async function groupOf(group: number): Promise<number[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const found: number[] = []
  for (const pid of pids) {
    const line = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
    const [state, , pgrp] = line.slice(line.lastIndexOf(')') + 2).split(' ')
    if (Number(pgrp) === group && state !== 'Z' && state !== 'X') found.push(Number(pid))
  }
  return found
}
