import assert from 'node:assert/strict'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { executableOf } from '../../server/runtime/executables.ts'
import type { Gateway } from '../../server/plugins/service.ts'
import { channel, homeWith, hosted, program, QUICK, until } from '../support/plugins/hosted.ts'
import { type Delays, describeDelays, measureBeside } from './bystander.ts'

type Hosted = Awaited<ReturnType<typeof hosted>>

const DEEDS = [
  'crash-loop',
  'crash-after-ready',
  'hang',
  'mute',
  'flood',
  'junk',
  'endless',
  'halves',
  'long-line',
  'liar',
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

const onLinux = { skip: process.platform === 'linux' ? false : 'only where /proc is' }

/** Beyond it something really was held up, however busy the machine is. */
const HELD_UP_MS = 2000

/**
 * One server with every bad plugin, one after the other, and a good one whose round trips go on, as do requests for
 * `/readyz`. How long they take beside each is printed.
 */
describe('beside a plugin that', { timeout: 280_000 }, () => {
  let app: Hosted
  let good: Gateway

  let quiet: { trips: Delays; ready: Delays }

  const measure = () => {
    const trips = measureBeside(() => app.order('good', 'hello', { timeout_ms: 10_000 }))
    const ready = measureBeside(async () => {
      const { status } = await app.request('/readyz', { token: null })
      assert.equal(status, 200)
    })
    return { stop: async () => ({ trips: await trips.stop(), ready: await ready.stop() }) }
  }

  before(async () => {
    const bad = Object.fromEntries(
      DEEDS.map((deed) => [deed, { ...channel('hostile.mjs', deed), enabled: false, restart: 'on_failure' }]),
    )
    const limits = {
      ...QUICK,
      ready_timeout_seconds: 3,
      pong_timeout_seconds: 2,
      max_crashes: 3,
      memory_mb: 300,
      max_processes: 20,
      paths: ['snoop'],
    }
    const snoop = { plugin: 'snoop', enabled: false }
    const home = await homeWith({
      channels: { good: channel('gateway.mjs', 'good'), ...bad, snoop },
      plugins: limits,
    })
    await writeSnoop(join(home, 'snoop'))
    app = await hosted({}, {}, home)
    good = await app.ready('good')
    const pause = () => new Promise((resolve) => setTimeout(resolve, 1000))
    const warming = measure()
    await pause()
    await warming.stop()
    const measuring = measure()
    await pause()
    quiet = await measuring.stop()
  })
  after(() => app?.close())

  /** Starts the bad one, and stops it when `look` was satisfied; the good one answers all the while. */
  async function during(
    deed: string,
    look: (bad: () => Promise<Awaited<ReturnType<Hosted['plugin']>>>) => Promise<void>,
  ) {
    const measuring = measure()
    try {
      await enable(deed, true)
      await look(() => app.plugin(deed))
    } finally {
      await enable(deed, false)
      const beside = await measuring.stop()
      console.log(describeDelays(`${deed}: trips of the other`, beside.trips, quiet.trips))
      console.log(describeDelays(`${deed}: /readyz`, beside.ready, quiet.ready))
      assert.ok(beside.trips.p99 < HELD_UP_MS, `a round trip of the other took ${beside.trips.p99} ms`)
      assert.ok(beside.ready.p99 < HELD_UP_MS, `/readyz took ${beside.ready.p99} ms`)
    }
    assert.equal(good.state, 'ready')
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

  it('writes its lines in pieces: each is read when it is whole', () =>
    during('halves', async () => {
      await until(() => app.texts('halves').length === 3)
      assert.deepEqual(app.texts('halves'), ['one', 'two', 'thrée'])
    }))

  it('answers what it was not asked, with the ids of others: it settles nothing', () =>
    during('liar', async (bad) => {
      await app.ready('liar')
      const asked = app.order('good', 'silent', { request_id: 'of-the-good', timeout_ms: 1000 })
      const lied = app.order('liar', 'of-the-good', { request_id: 'of-the-liar', timeout_ms: 1000 })
      assert.deepEqual(
        await Promise.all([asked, lied].map((work) => work.catch(({ code }: { code: string }) => code))),
        ['timeout', 'timeout'],
      )
      for (const type of ['command_ok', 'command_error', 'pong']) {
        assert.ok(await says('liar', new RegExp(`${type} for a request_id that was not asked`)), type)
      }
      assert.equal((await bad()).registered.length, 0)
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

  it('starts something in a group of its own: that is ended too', onLinux, async () => {
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

  it('says that its platform refused it, and stays: it is ended, and not started again', () =>
    during('fatal', async (bad) => {
      await until(async () => (await bad()).state === 'quarantined')
      const { problem, restarts } = await bad()
      assert.deepEqual([problem, restarts], ['failed: unauthorized: the token is wrong', 0])
    }))

  it('starts ever more processes, which start more: it is ended with all of them', onLinux, async () => {
    let group = 0
    await during('forks', async (bad) => {
      await app.ready('forks')
      group = (await bad()).pid!
      await until(() => says('forks', /started \d+ processes, and may have 20/))
    })
    await until(async () => (await sizeOf(group)) === 0, 'the end of all of them')
  })

  it('takes ever more memory: it is ended', () =>
    during('greedy', async () => {
      await until(() => says('greedy', /took \d+ MB of memory, and may take 300/))
    }))

  it('reads and reaches what it may not, again and again: it gets nothing, and that is told', async (t) => {
    if (!await executableOf('deno', process.env.PATH)) return t.skip('Deno is not installed')
    await during('snoop', async (bad) => {
      await until(() => app.texts('snoop').length >= 5, 'what it found', 30_000)
      await until(() => says('snoop', /tried to read \/etc\/passwd: refused/))
      await until(() => says('snoop', /tried to reach evil\.example:443: refused/))
      assert.ok(app.texts('snoop').every((text) => text === 'nothing'), app.texts('snoop').join())
      assert.ok((await bad()).incidents.length <= 100)
    })
  })
})

/** A plugin with a manifest that allows nothing, which tries to read and to reach something all the time. */
async function writeSnoop(folder: string): Promise<void> {
  await mkdir(folder)
  const manifest = { id: 'snoop', name: 'Snoop', version: '1.0.0', protocol: 'v1alpha1', entry: 'main.mjs' }
  await writeFile(
    join(folder, 'plugin.json'),
    JSON.stringify({ ...manifest, runtime: 'deno', channels: ['snoop'] }),
  )
  await copyFile(program('snoop.mjs'), join(folder, 'main.mjs'))
}

/** Processes of a group that have not ended. */
async function sizeOf(group: number): Promise<number> {
  let size = 0
  for (const name of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '')
    const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (Number(itsGroup) === group && state !== 'Z') size++
  }
  return size
}

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
