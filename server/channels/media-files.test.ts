import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { createMediaFiles } from './media-files.ts'

describe('files in the folder of a plugin', () => {
  it('are tidied away when a crash left them, but not while they are waited for, nor others of the plugin', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'gatehouse-data-'))
    const longAgo = new Date(Date.now() - 2 * 24 * 3600_000)
    const put = async (part: string, name: string, at?: Date): Promise<string> => {
      const path = join(folder, part, name, 'file.txt')
      await mkdir(join(folder, part, name), { recursive: true })
      await writeFile(path, name)
      if (at) await utimes(join(folder, part, name), at, at)
      return path
    }
    await put('incoming', 'old', longAgo)
    await put('incoming', 'new')
    const awaited = await put('incoming', 'awaited', longAgo)
    await put('outgoing', 'old', longAgo)
    await put('cache', 'old', longAgo)
    const files = createMediaFiles({ folderOf: (name) => name === 'chat' ? folder : undefined, now: Date.now })
    await files.tidy('chat', new Set([pathToFileURL(awaited).href, 'data:,x', 'file:///gone']))
    await files.tidy('another', new Set())
    assert.deepEqual((await readdir(join(folder, 'incoming'))).sort(), ['awaited', 'new'])
    assert.deepEqual(await readdir(join(folder, 'outgoing')), [])
    assert.deepEqual(await readdir(join(folder, 'cache')), ['old'])
    await rm(folder, { recursive: true })
  })
})
