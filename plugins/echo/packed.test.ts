import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { it } from 'node:test'
import { promisify } from 'node:util'
import { runConformance } from '../../server/plugins/conformance/run.ts'
import { openTarget } from '../../server/plugins/conformance/target.ts'
import { currentRuntime } from '../../server/runtime/current.ts'

const BUN = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'bun')

it('a plugin that was made one file passes the conformance kit in any folder', { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-packed-'))
  const entry = join(import.meta.dirname, 'main.ts')
  await promisify(execFile)(BUN, ['build', entry, '--target=node', `--outfile=${join(folder, 'main.js')}`])
  const manifest = JSON.parse(await readFile(join(import.meta.dirname, 'plugin.json'), 'utf8')) as object
  await writeFile(join(folder, 'plugin.json'), JSON.stringify({ ...manifest, entry: 'main.js' }))
  await writeFile(join(folder, 'README.md'), 'Packed')
  const target = await openTarget([folder], { runtime: await currentRuntime(), environment: process.env, settings: {} })
  const { sections } = await runConformance(target, {})
  assert.deepEqual(sections.flatMap(({ checks }) => checks).filter(({ status }) => status === 'fail'), [])
  await rm(folder, { recursive: true })
})
