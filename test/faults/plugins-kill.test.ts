import assert from 'node:assert/strict'
import { readdir, readFile, rm } from 'node:fs/promises'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import type { Plugin } from '../../shared/plugins.ts'
import { channel, homeWith, QUICK, until } from '../support/plugins/hosted.ts'
import { type ServerProcess, startServer } from '../support/process.ts'

const hasProc = process.platform === 'linux'

describe('plugins of a server', { timeout: 120_000, skip: hasProc ? false : 'looks at /proc' }, () => {
  let home: string
  let server: ServerProcess

  const start = async () => {
    server = await startServer({ home, env: { PATH: process.env.PATH! } })
  }
  const plugins = async (): Promise<Plugin[]> =>
    (await (await server.request('/api/plugins')).json() as { plugins: Plugin[] }).plugins
  const allReady = () =>
    until(async () => {
      const all = (await plugins()).filter(({ origin }) => origin === 'config')
      return all.length > 0 && all.every(({ state }) => state === 'ready') && all
    }, 'all plugins to be ready')

  before(async () => {
    home = await homeWith({
      plugins: QUICK,
      channels: {
        plain: channel('gateway.mjs', 'plain'),
        stubborn: { ...channel('hostile.mjs', 'stubborn'), restart: 'always' },
        escaping: channel('hostile.mjs', 'escaping'),
      },
    })
    await start()
  })
  after(async () => {
    await server.kill()
    await rm(home, { recursive: true, force: true })
  })

  it('that is killed end within seconds, also those that neither read nor listen', async () => {
    await allReady()
    const groups = (await allReady()).map(({ pid }) => pid!)
    const before = await membersOf(groups)
    assert.ok(before.length >= 4, `${before}`)
    await server.kill()
    await until(async () => (await membersOf(groups)).length === 0, 'the end of all of them')
  })

  it('that is killed end at the next start, also what went into a group of its own', async () => {
    await start()
    const groups = (await allReady()).map(({ pid }) => pid!)
    const marks = await marksOf(groups)
    assert.equal(marks.length, 3)
    await until(async () => (await withMarks(marks)).length >= 5)
    await server.kill()
    await until(async () => (await membersOf(groups)).length === 0)
    assert.ok((await withMarks(marks)).length > 0)
    await start()
    await until(async () => (await withMarks(marks)).length === 0, 'the end of what was left')
  })

  it('that stops are stopped with it, and none is started again meanwhile', async () => {
    const groups = (await allReady()).map(({ pid }) => pid!)
    const marks = await marksOf(groups)
    const at = performance.now()
    await server.stop()
    assert.ok(performance.now() - at < 9000)
    assert.deepEqual(await membersOf(groups), [])
    assert.deepEqual(await withMarks(marks), [])
  })
})

type Found = { pid: number; group: number; state: string }

async function processes(): Promise<Found[]> {
  const found: Found[] = []
  for (const name of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '')
    const [state = '', , group = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (stat && state !== 'Z') found.push({ pid: Number(name), group: Number(group), state })
  }
  return found
}

const membersOf = async (groups: number[]): Promise<number[]> =>
  (await processes()).filter(({ group }) => groups.includes(group)).map(({ pid }) => pid)

async function markOf(pid: number): Promise<string | undefined> {
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
  return environment.split('\0').find((entry) => entry.startsWith('GATEHOUSE_CHILD='))
}

const marksOf = async (pids: number[]): Promise<string[]> =>
  (await Promise.all(pids.map(markOf))).filter((mark) => mark !== undefined)

async function withMarks(marks: string[]): Promise<number[]> {
  const found: number[] = []
  for (const { pid } of await processes()) {
    const mark = await markOf(pid)
    if (mark !== undefined && marks.includes(mark)) found.push(pid)
  }
  return found
}
