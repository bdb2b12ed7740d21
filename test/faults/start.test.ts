import assert from 'node:assert/strict'
import { appendFile, mkdir, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { openDatabase } from '../../server/db/open.ts'
import type { EffectiveConfig } from '../../shared/config.ts'
import { type Ended, runServer, type ServerProcess, startServer } from '../support/process.ts'

const root = await mkdtemp(join(tmpdir(), 'gatehouse-start-'))
let homes = 0
async function newHome(files: Record<string, string | Uint8Array> = {}): Promise<string> {
  const home = join(root, String(++homes))
  await mkdir(home)
  for (const [name, content] of Object.entries(files)) await writeFile(join(home, name), content)
  return home
}
after(() => rm(root, { recursive: true, force: true }))

/** A start that did not happen: the exit code, and a message without a stack that says what to do. */
function assertRefused({ code, output }: Ended, says: RegExp): void {
  assert.equal(code, 1, output)
  assert.match(output, says)
  assert.doesNotMatch(output, /^\s+at |node:internal|\[object/m)
}

async function config(server: ServerProcess): Promise<EffectiveConfig> {
  const response = await server.request('/api/config/effective')
  assert.equal(response.status, 200)
  return await response.json() as EffectiveConfig
}

const GOOD = '# mine\nname: Ada\nsessions:\n  max_queue: 7\n'
/** What is on disk when an editor, or a power cut, stops in the middle. */
const TORN = 'name: Ada\nsessions:\n  max_queue: [7\n    "'

describe('a start', () => {
  it('goes on with the settings it last had when gatehouse.yaml is torn, says so, and leaves the file alone', async () => {
    const home = await newHome({ 'gatehouse.yaml': GOOD })
    const first = await startServer({ home })
    assert.equal((await first.stop()).code, 0)
    await writeFile(join(home, 'gatehouse.yaml'), TORN)
    const server = await startServer({ home })
    const { values, problems } = await config(server)
    assert.equal((values as { name: string }).name, 'Ada')
    assert.equal((values.sessions as { max_queue: number }).max_queue, 7)
    assert.ok(problems.some(({ severity, line }) => severity === 'error' && line !== null), JSON.stringify(problems))
    assert.match(server.output(), /config/)
    assert.equal(await readFile(join(home, 'gatehouse.yaml'), 'utf8'), TORN)
    await server.stop()
  })

  it('serves with a gatehouse.yaml that never was readable, by its defaults', async () => {
    for (const torn of [Uint8Array.of(0xff, 0xfe, 0x00, 0x80), '- a\n- b\n']) {
      const server = await startServer({ home: await newHome({ 'gatehouse.yaml': torn }) })
      assert.ok((await config(server)).problems.length > 0, String(torn))
      await server.stop()
    }
  })

  it('is refused on a home that is in use, and the process that has it goes on', async () => {
    const home = await newHome()
    const server = await startServer({ home })
    assertRefused(await runServer({ home }), new RegExp(`in use by the process ${server.pid}`))
    assert.equal((await server.request('/api/health')).status, 200)
    await server.kill()
    // The lock goes with its process, however that ended.
    const next = await startServer({ home })
    await next.stop()
  })

  it('is refused on a port that is taken', async () => {
    const server = await startServer({ home: await newHome() })
    const { port } = new URL(server.url)
    assertRefused(await runServer({ home: await newHome(), env: { PORT: port } }), new RegExp(`${port}.*in use|taken`))
    await server.stop()
  })

  it('is refused on a database of a newer version, which stays as it was', async () => {
    const home = await newHome()
    await (await startServer({ home })).stop()
    const file = join(home, 'gatehouse.db')
    const database = await openDatabase({ url: pathToFileURL(file).href })
    await database.run("insert into migrations values (9999, '9999-from-the-future', 'x', '2099-01-01')")
    await database.close()
    const before = await readFile(file)
    assertRefused(await runServer({ home }), /9999-from-the-future.*newer version/)
    assert.ok(before.equals(await readFile(file)))
  })

  it('is refused on a file that is no database, which stays as it was', async () => {
    const text = 'My diary. '.repeat(1000)
    const home = await newHome({ 'gatehouse.db': text })
    assertRefused(await runServer({ home }), /gatehouse\.db.*(not a database|damaged).*backup/s)
    assert.equal(await readFile(join(home, 'gatehouse.db'), 'utf8'), text)
  })

  it('is refused on a damaged database', async () => {
    const home = await newHome()
    await (await startServer({ home })).stop()
    const path = join(home, 'gatehouse.db')
    const { size } = await stat(path)
    const file = await open(path, 'r+')
    await file.write(new Uint8Array(size - 4096).fill(0x5a), 0, size - 4096, 4096)
    await file.close()
    assertRefused(await runServer({ home }), /gatehouse\.db.*damaged.*backup/s)
  })

  it('is refused on a home that is a file', async () => {
    const file = join(await newHome({ file: 'x' }), 'file')
    assertRefused(await runServer({ home: file }), /file/)
  })
})

describe('a running server', () => {
  it('keeps its settings while gatehouse.yaml is torn, and takes the mended file', async () => {
    const home = await newHome({ 'gatehouse.yaml': GOOD })
    const path = join(home, 'gatehouse.yaml')
    const server = await startServer({ home })
    const name = async (): Promise<unknown> => ((await config(server)).values as { name: string }).name
    const until = async (fits: () => Promise<boolean>): Promise<void> => {
      for (const end = Date.now() + 30_000; Date.now() < end; await sleep(50)) if (await fits()) return
      assert.fail(`it did not come: ${JSON.stringify((await config(server)).problems)}`)
    }
    await writeFile(path, TORN)
    await until(async () => (await config(server)).problems.some(({ severity }) => severity === 'error'))
    assert.equal(await name(), 'Ada')
    const refused = await server.request('/api/config/agent', { method: 'PATCH', json: { max_steps: 5 } })
    assert.ok(refused.status >= 400 && refused.status < 500, String(refused.status))
    assert.equal(await readFile(path, 'utf8'), TORN)

    await writeFile(path, '')
    await appendFile(path, 'name: Grace\n')
    await until(async () => (await name()) === 'Grace')
    await rm(path)
    await until(async () => (await name()) === 'Gatehouse')
    await server.stop()
  })
})
