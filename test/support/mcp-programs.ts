import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { currentRuntime } from '../../server/runtime/current.ts'

const require = createRequire(import.meta.url)
/** In full, for children of a test app have no search path. */
const NODE = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node')).find(existsSync) ?? 'node'

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
export async function until<T>(ask: () => Promise<T | undefined>, ms = 30_000): Promise<T> {
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

/** The reference server on a free port. */
export async function everythingOver(mode: 'sse' | 'streamableHttp'): Promise<{ url: string; stop(): Promise<void> }> {
  const port = await freePort()
  const { command, args } = programs.everything
  const runtime = await currentRuntime()
  const child = await runtime.spawn(command, [args[0]!, mode], { env: { PORT: String(port) } })
  void (async () => {
    for await (const _ of child.stdout) { /* read, so that it never waits for us */ }
  })()
  void (async () => {
    for await (const _ of child.stderr) { /* the same */ }
  })()
  const url = `http://127.0.0.1:${port}`
  await until(() => fetch(url).then((response) => response.body?.cancel().then(() => true) ?? true, () => undefined))
  return {
    url,
    stop: async () => {
      child.killGroup('SIGKILL')
      await child.exited
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => done(port))
    })
  })
}
