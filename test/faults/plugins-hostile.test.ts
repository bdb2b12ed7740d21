import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import type { Gateway } from '../../server/plugins/service.ts'
import { channel, hosted, until } from '../support/plugins/hosted.ts'

type Hosted = Awaited<ReturnType<typeof hosted>>

const DEEDS = [
  'crash-loop',
  'crash-after-ready',
  'hang',
  'mute',
  'flood',
  'junk',
  'endless',
  'long-line',
  'noisy-log',
  'unread',
  'closed-output',
  'stubborn',
  'escaping',
  'leaving',
  'fatal',
  'forks',
  'greedy',
]

/** One server with every bad plugin, one after the other, and a good one whose round trips go on. */
describe('beside a plugin that', { timeout: 280_000 }, () => {
  let app: Hosted
  let good: Gateway

  before(async () => {
    const bad = Object.fromEntries(
      DEEDS.map((deed) => [deed, { ...channel('hostile.mjs', deed), enabled: false, restart: 'on_failure' }]),
    )
    app = await hosted({ good: channel('gateway.mjs', 'good'), ...bad }, {
      ready_timeout_seconds: 3,
      pong_timeout_seconds: 2,
      max_crashes: 3,
      memory_mb: 300,
      max_processes: 20,
    })
    good = await app.ready('good')
  })
  after(() => app?.close())

  /** Starts the bad one, and stops it when `look` was satisfied; the good one answers all the while. */
  async function during(
    deed: string,
    look: (bad: () => Promise<Awaited<ReturnType<Hosted['plugin']>>>) => Promise<void>,
  ) {
    await enable(deed, true)
    let done = false
    const delays: number[] = []
    const trips = (async () => {
      while (!done) {
        const at = performance.now()
        await app.order('good', 'hello', { timeout_ms: 10_000 })
        const ready = await app.request('/readyz', { token: null })
        assert.equal(ready.status, 200)
        delays.push(performance.now() - at)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })()
    try {
      await look(() => app.plugin(deed))
    } finally {
      done = true
      await enable(deed, false)
      await trips
    }
    assert.equal(good.state, 'ready')
    delays.sort((a, b) => a - b)
    const middle = delays[Math.floor(delays.length / 2)]!
    assert.ok(middle < 500, `a round trip of the other took ${middle} ms`)
  }

  const enable = async (deed: string, enabled: boolean) => {
    const channels = await app.json<{ channels: Record<string, object> }>('/api/config')
    const all = channels.channels
    await app.json('/api/config/channels', {
      method: 'PATCH',
      json: { ...all, [deed]: { ...all[deed], enabled } },
    })
  }

  const says = async (deed: string, pattern: RegExp) => {
    const plugin = await app.plugin(deed)
    return plugin.incidents.some(({ message }) => pattern.test(message)) || pattern.test(plugin.problem ?? '')
  }

  it('crashes again and again: it is put into quarantine', () =>
    during('crash-loop', async (bad) => {
      await until(async () => (await bad()).state === 'quarantined')
      assert.match((await bad()).problem!, /crashed 3 times in a row.*exit code 1/)
    }))

  it('crashes after each ready: ready forgives nothing', () =>
    during('crash-after-ready', async (bad) => {
      await until(async () => (await bad()).state === 'quarantined')
    }))

  it('hangs: it is started anew when it misses its pings', () =>
    during('hang', async () => {
      await until(() => says('hang', /did not answer 2 pings/), 'the missed pings', 30_000)
    }))

  it('is never ready: it is ended after its deadline', () =>
    during('mute', async () => {
      await until(() => says('mute', /was not ready within 3 s/))
    }))

  it('floods: it is held, then ended', () =>
    during('flood', async () => {
      await until(() => says('flood', /sent more messages than it may/))
      assert.ok(app.texts('flood').length < 5000)
    }))

  it('floods with junk: the same', () =>
    during('junk', async () => {
      await until(() => says('junk', /sent more messages than it may/))
    }))

  it('never ends its line: the same, and nothing of it is kept', () =>
    during('endless', async () => {
      await until(() => says('endless', /sent more messages than it may/))
    }))

  it('sends a line of two mebibytes: only that one is dropped', () =>
    during('long-line', async (bad) => {
      await until(() => app.texts('long-line').includes('after'))
      assert.deepEqual(app.texts('long-line'), ['after'])
      assert.ok(await says('long-line', /longer than 1048576 bytes/))
      assert.equal((await bad()).state, 'ready')
    }))

  it('floods its log: most of it is left out', () =>
    during('noisy-log', async () => {
      const lines = await until(async () => {
        const answer = await app.json<{ lines: { text: string }[] }>('/api/plugins/noisy-log/logs?limit=9999')
        return answer.lines.some(({ text }) => /lines were left out/.test(text)) && answer.lines
      })
      assert.ok(lines.length < 1500)
    }))

  it('never reads: commands fail, and it is ended', () =>
    during('unread', async () => {
      await app.ready('unread')
      const large = 'x'.repeat(500_000)
      const codes = await Promise.all(
        Array.from({ length: 30 }, () =>
          app.order('unread', large, { timeout_ms: 20_000 }).then(() =>
            'done', (error: { code: string }) =>
            error.code)),
      )
      assert.deepEqual(
        codes.filter((code) =>
          code !== 'gone' && code !== 'back_pressure'
        ),
        [],
      )
      await until(() =>
        says('unread', /took no input|did not answer 2 pings/)
      )
    }))

  it('closes its output: it counts as hanging', () =>
    during('closed-output', async () => {
      await until(() => says('closed-output', /pings/), 'the missed pings', 30_000)
    }))

  it('ignores SIGTERM: it is killed with what it started', async () => {
    let child = 0
    await during('stubborn', async () => {
      child = Number((await until(() => app.texts('stubborn')[0])).split(' ')[1])
    })
    await until(() => isDead(child))
  })

  it('starts something in a group of its own: that is ended too', {
    skip: process.platform === 'linux' ? false : 'only where /proc is',
  }, async () => {
    let child = 0
    await during('escaping', async () => {
      child = Number((await until(() => app.texts('escaping')[0])).split(' ')[1])
    })
    await until(() => isDead(child))
  })

  it('says that it ends, and stays: it is ended, and not started again', () =>
    during('leaving', async (bad) => {
      const { pid } = await app.ready('leaving').then(bad)
      await until(async () => (await bad()).state === 'stopped')
      await until(() => isDead(pid!))
      assert.equal((await bad()).restarts, 0)
    }))

  it('says that something fatal happened, and stays: that is its problem', () =>
    during('fatal', async () => {
      await until(() => says('fatal', /failed: unauthorized: the token is wrong/))
    }))

  it('starts ever more processes: it is ended with all of them', () =>
    during('forks', async () => {
      await until(() => says('forks', /started \d+ processes, and may have 20/))
    }))

  it('takes ever more memory: it is ended', () =>
    during('greedy', async () => {
      await until(() => says('greedy', /took \d+ MB of memory, and may take 300/))
    }))
})

/** A zombie counts as dead: who reaps orphans may be late. */
async function isDead(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch {
    return true
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')
  return stat === '' || / Z /.test(stat.slice(stat.lastIndexOf(')')))
}
