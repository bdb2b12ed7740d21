import { once } from 'node:events'
import type { Job, Result } from './load/jobs.ts'
import { launch, type Program } from './processes.ts'

export type Loaded = Result & {
  /** Milliseconds of processor time that the program took for one of `count`. */
  cpuMs: number
  /** Its resident memory when the load ended. */
  memoryMiB: number
}

/** Runs a job in a process of its own and measures what it costs the program. */
export async function load(program: Program, job: Job): Promise<Loaded> {
  const child = launch('node', 'test/bench/load/main.ts', [JSON.stringify(job)], {}, 'pipe')
  const exited = once(child, 'exit')
  let before = NaN
  let text = ''
  let loaded: Loaded | undefined
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const message = JSON.parse(text.slice(0, end)) as { mark: string; result?: Result }
      text = text.slice(end + 1)
      if (message.mark === 'begin') before = program.cpuMs()
      if (message.result) {
        const cpuMs = (program.cpuMs() - before) / message.result.count
        loaded = { ...message.result, cpuMs, memoryMiB: program.memoryMiB() }
      }
    }
  })
  await exited
  if (!loaded) throw new Error(`The load generator failed at ${JSON.stringify(job)}`)
  return loaded
}
