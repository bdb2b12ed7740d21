import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import type { Plugin } from '../shared/plugins.ts'
import { OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'
import { runCli, startCli } from './support/cli.ts'
import { startServer } from './support/process.ts'
import { homeWith, QUICK, until, writePlugin } from './support/plugins/hosted.ts'

describe('gatehouse plugins', { timeout: 120_000 }, () => {
  let app: TestApp
  let source: string
  let env: Record<string, string>
  const gatehouse = (args: string[], input?: string) =>
    runCli(['plugins', ...args], { home: source, env, ...(input ? { input } : {}) })

  before(async () => {
    app = await testApp({ home: await homeWith({ plugins: QUICK }), env: { PATH: process.env.PATH! } })
    env = { GATEHOUSE_URL: await app.listen(), GATEHOUSE_TOKEN: OWNER_TOKEN }
    source = await mkdtemp(join(tmpdir(), 'gatehouse-cli-plugin-'))
    await writePlugin(source, { secrets: [{ name: 'token', required: false }] })
  })
  after(async () => {
    await app.close()
    await rm(source, { recursive: true, force: true })
  })

  it('installs, shows what it may do, enables, configures, and removes', async () => {
    assert.match((await gatehouse(['install', source])).stdout, /Installed capable 1\.0\.0/)
    const refused = await gatehouse(['enable', 'capable'])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /offers the tools add \(read\)/)
    assert.match(refused.stderr, /Nothing keeps it to that/)
    assert.equal((await gatehouse(['enable', 'capable', '--accept'])).code, 0)
    await until(async () => /capable .* ready/.test((await gatehouse([])).stdout))
    assert.match((await gatehouse(['config', 'capable', 'room=7', 'token=-'], 'a-secret\n')).stdout, /token +\(set\)/)
    await until(async () => /state +ready/.test((await gatehouse(['inspect', 'capable'])).stdout))
    const logs = await gatehouse(['logs', 'capable'])
    assert.match(logs.stdout, /my token is \[redacted\]/)
    assert.match((await gatehouse(['doctor'])).stdout, /warning +capable: runs, and nothing keeps it/)
    assert.match((await gatehouse(['restart', 'capable'])).stdout, /capable: /)
    assert.equal((await gatehouse(['reload'])).code, 0)
    assert.match((await gatehouse(['disable', 'capable'])).stdout, /capable: off/)
    const unsure = await gatehouse(['uninstall', 'capable'])
    assert.deepEqual([unsure.code, unsure.stdout], [1, ''])
    assert.match(unsure.stderr, /Nothing was removed\. .*: gatehouse plugins uninstall capable --yes/)
    assert.equal((await gatehouse(['uninstall', 'capable', '--yes'])).stdout, 'Removed\n')
    const { plugins } = JSON.parse((await gatehouse(['list', '--json'])).stdout) as { plugins: Plugin[] }
    assert.ok(!plugins.some(({ name }) => name === 'capable'))
  })

  it('follows a log also when the server is started anew', async () => {
    const home = await homeWith({ plugins: { ...QUICK, paths: ['mine'] } })
    await writePlugin(join(home, 'mine'))
    let server = await startServer({ home })
    const following = startCli(['plugins', 'logs', 'capable', '--follow'], { home })
    try {
      await following.says('my token is')
      await server.stop()
      server = await startServer({ home })
      await until(() => following.stdout().split('my token is').length === 3)
      following.interrupt()
      assert.equal((await following.ended).code, 130)
    } finally {
      await server.stop()
      await rm(home, { recursive: true, force: true })
    }
  })

  it('says what is wrong with an argument', async () => {
    assert.equal((await gatehouse(['inspect', 'nobody'])).code, 1)
    assert.equal((await gatehouse(['config', 'echo', 'nonsense'])).code, 2)
    assert.equal((await gatehouse(['logs', 'echo', '--lines', 'x'])).code, 2)
  })
})
