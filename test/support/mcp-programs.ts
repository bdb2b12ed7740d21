import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

const require = createRequire(import.meta.url)
const NODE = 'node'

/** The program of an npm package, without a package runner in between. */
const programOf = (name: string): string => {
  const manifest = require.resolve(`@modelcontextprotocol/${name}/package.json`)
  const { bin } = require(manifest) as { bin: string | Record<string, string> }
  return join(dirname(manifest), typeof bin === 'string' ? bin : Object.values(bin)[0]!)
}

/** Settings of the reference servers, and of our own one that misbehaves as it is told. */
export const programs = {
  everything: { command: NODE, args: [programOf('server-everything'), 'stdio'] },
  filesystem: (folder: string) => ({ command: NODE, args: [programOf('server-filesystem'), folder] }),
  memory: (file: string) => ({ command: NODE, args: [programOf('server-memory')], env: { MEMORY_FILE_PATH: file } }),
  hostile: (mode: string, state = '') => ({
    command: NODE,
    args: [join(import.meta.dirname, 'mcp-hostile.ts'), mode, state],
  }),
}

/** Asks again and again until there is an answer; fails after a while. */
export async function until<T>(ask: () => Promise<T | undefined>, ms = 20_000): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (Date.now() > end) throw new Error('it did not happen in time')
    await setTimeout(30)
  }
}

/** Whether a process runs; one that only waits to be reaped does not. */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return !/^\d+ \(.*\) Z/.test(stat)
}
