import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { PluginDetail } from '../shared/plugins.ts'
import { type TestApp, testApp } from './support/app.ts'
import { homeWith, QUICK, until, writePlugin } from './support/plugins/hosted.ts'

type Entry = { name: string; content?: string; type?: string; size?: string; link?: string; sum?: number }

const MANIFEST = JSON.stringify({ id: 'packed', name: 'Packed', version: '1.0.0', command: ['true'] })

/** A tar archive as nobody's program would make it. */
function archiveOf(entries: Entry[]): Uint8Array {
  const blocks = entries.flatMap(({ name, content = '', type = '0', size, link = '', sum }) => {
    const header = Buffer.alloc(512)
    header.write(name, 0)
    header.write('0000644\0', 100)
    header.write(size ?? `${Buffer.byteLength(content).toString(8).padStart(11, '0')}\0`, 124)
    header.fill(' ', 148, 156)
    header.write(type, 156)
    header.write(link, 157)
    const real = header.reduce((all, byte) => all + byte, 0)
    header.write(`${(sum ?? real).toString(8).padStart(6, '0')}\0 `, 148)
    const body = Buffer.alloc(Math.ceil(Buffer.byteLength(content) / 512) * 512)
    body.write(content)
    return [header, body]
  })
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]))
}

describe('a plugin that is hostile before it is accepted', { timeout: 120_000 }, () => {
  let app: TestApp
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gatehouse-hostile-'))
    const cache = { npm_config_cache: join(folder, 'npm-cache') }
    app = await testApp({ home: await homeWith({ plugins: QUICK }), env: { PATH: process.env.PATH!, ...cache } })
  })
  after(async () => {
    await app.close()
    await rm(folder, { recursive: true })
  })

  const install = (json: object, status = 422) =>
    app.json<{ error: string; plugin: PluginDetail }>('/api/plugins/install', { json, status })
  async function archive(entries: Entry[], status?: number) {
    const file = join(folder, 'plugin.tgz')
    await writeFile(file, archiveOf(entries))
    return await install({ archive: file }, status)
  }
  const plugin = { name: 'package/plugin.json', content: MANIFEST }

  it('in an archive is unpacked when nothing is wrong with it', async () => {
    const answer = await archive([plugin, { name: 'package/lib/a.txt', content: 'a' }], 201)
    assert.equal(answer.plugin.name, 'packed')
    assert.equal(await readFile(join(app.home, 'plugins', 'packed', 'lib', 'a.txt'), 'utf8'), 'a')
    await app.json('/api/plugins/packed', { method: 'DELETE' })
  })

  it('in an archive leads nowhere else: no links, no devices, no way up, no absolute path', async () => {
    const entries: Entry[] = [
      { name: 'package/link', type: '2', link: '/etc' },
      { name: 'package/hard', type: '1', link: '/etc/passwd' },
      { name: 'package/null', type: '3' },
      { name: 'package/../../../escaped', content: 'x' },
      { name: '/escaped', content: 'x' },
      { name: 'package\\..\\escaped', content: 'x' },
    ]
    for (const entry of entries) {
      const { error } = await archive([plugin, entry])
      assert.match(error, /holds a (link or a device|path that leads elsewhere)/, entry.name)
    }
    assert.deepEqual(await readdir(join(app.home, 'plugins')), [])
  })

  it('in an archive can not make the unpacking go on for ever', async () => {
    for (const size of ['-0001000\0', '-1\0']) {
      const { error } = await archive([{ name: 'package/x', type: 'g', size }, plugin])
      assert.match(error, /cut off or is no tar archive/)
    }
    const { error } = await archive([{ ...plugin, sum: 1 }])
    assert.match(error, /damaged/)
  })

  it('in a folder has no link that leads out of it, and may have others', async () => {
    const source = await writePlugin(join(folder, 'linked'))
    await mkdir(join(source, 'lib'))
    await symlink('../main.mjs', join(source, 'lib', 'inside'))
    await symlink('../nowhere', join(source, 'lib', 'dangling'))
    await install({ folder: source }, 201)
    for (const target of ['/', tmpdir(), '../../..', '/no/such/place', join(source, 'main.mjs')]) {
      await symlink(target, join(source, 'lib', 'outside'))
      assert.match((await install({ folder: source })).error, /its link lib\/outside leads out of its folder/, target)
      await rm(join(source, 'lib', 'outside'))
    }
    await app.json('/api/plugins/capable', { method: 'DELETE' })
  })

  it('in a folder has no pipe that would be waited for', async () => {
    const source = await writePlugin(join(folder, 'piped'))
    execFileSync('mkfifo', [join(source, 'pipe')])
    assert.match((await install({ folder: source })).error, /pipe is neither file nor folder/)
  })

  it('is not copied when it is none', async () => {
    assert.match((await install({ folder: '/usr' })).error, /there is no plugin.json in it/)
  })

  it('has no program of its own run by npm', async () => {
    const ran = join(folder, 'ran')
    const script = join(folder, 'evil.sh')
    await writeFile(script, `#!/bin/sh\ntouch ${ran}\n`)
    await chmod(script, 0o755)
    const dependencies = { dep: 'git+https://127.0.0.1:9/dep.git' }
    const answer = await archive([
      plugin,
      { name: 'package/.npmrc', content: `git=${script}\nallow-git=all\n` },
      { name: 'package/package.json', content: JSON.stringify({ name: 'packed', version: '1.0.0', dependencies }) },
    ], 502)
    assert.match(answer.error, /npm could not do this/)
    await assert.rejects(access(ran))
  })

  it('may have a package.json that makes no sense', async () => {
    for (const content of ['{', '[]x', 'null']) {
      const { error } = await archive([plugin, { name: 'package/package.json', content }])
      assert.match(error, /package.json is no JSON object/)
    }
    assert.deepEqual(await readdir(join(app.home, 'plugins')), [])
  })

  it('is put in its place once, however many ask for it at the same time', async () => {
    const source = await writePlugin(join(folder, 'twice'))
    const answers = await Promise.all([1, 2, 3].map(() => install({ folder: source }, 201)))
    assert.deepEqual(answers.map(({ plugin }) => plugin.name), ['capable', 'capable', 'capable'])
    assert.deepEqual(await readdir(join(app.home, 'plugins')), ['capable'])
    await app.json('/api/plugins/capable', { method: 'DELETE' })
  })

  it('is not gone for a moment while another of its name is put in its place', async () => {
    const source = await writePlugin(join(folder, 'newer'))
    await install({ folder: source }, 201)
    let over = false
    const looking = (async () => {
      while (!over) await app.json('/api/plugins/capable')
    })()
    const installing = Promise.all(Array.from({ length: 8 }, () => install({ folder: source }, 201)))
    await Promise.all([looking, installing.finally(() => (over = true))])
    await app.json('/api/plugins/capable', { method: 'DELETE' })
  })
})

describe('an installation or a removal that ended with the server', { timeout: 120_000 }, () => {
  it('leaves nothing, and the plugin as it was that it was to replace', async () => {
    const home = await homeWith({ plugins: QUICK })
    const plugins = join(home, 'plugins')
    await writePlugin(join(plugins, '.new-1', 'old'))
    await mkdir(join(plugins, '.new-2', 'plugin'), { recursive: true })
    await writePlugin(join(plugins, '.new-3', 'gone'), { id: 'removed' })
    const app = await testApp({ home })
    try {
      await until(async () => (await readdir(plugins)).join() === 'capable')
      const { plugin } = await app.json<{ plugin: PluginDetail }>('/api/plugins/capable')
      assert.deepEqual([plugin.problem, plugin.accepted], [null, false])
    } finally {
      await app.close()
    }
  })
})
