import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Program, type RuntimeName, startProgram } from './processes.ts'

export const TOKEN = 'owner-token-of-the-benchmark-0123456789'

/** Runs `work` with a new home and removes it afterwards. */
export async function withHome<T>(work: (home: string) => Promise<T>): Promise<T> {
  const home = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'))
  try {
    return await work(home)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

/** The whole product on a home; with an upstream, its model answers. */
export async function startServer(runtime: RuntimeName, home: string, upstream?: string): Promise<Program> {
  const server = await startProgram({
    runtime,
    file: 'server/main.ts',
    env: {
      GATEHOUSE_HOME: home,
      GATEHOUSE_TOKEN: TOKEN,
      GATEHOUSE_SESSIONS__MAX_PARALLEL_TURNS: '1000',
      // No provider may be found on the machine that runs the benchmark.
      OLLAMA_HOST: 'http://127.0.0.1:9',
      ...(upstream ? { OPENAI_BASE_URL: `${upstream}/v1`, OPENAI_API_KEY: 'none' } : {}),
    },
    health: '/readyz',
  })
  if (upstream) await untilConnected(server.url)
  return server
}

/** A program of `limits/`. */
export const startLimit = (
  runtime: RuntimeName,
  name: string,
  env: Record<string, string> = {},
): Promise<Program> => startProgram({ runtime, file: `test/bench/limits/${name}.ts`, env, health: '/health' })

async function untilConnected(url: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const response = await fetch(`${url}/api/models`, { headers: { authorization: `Bearer ${TOKEN}` } })
    if ((await response.text()).includes('"bench"')) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('The server did not find the model of the upstream')
}
