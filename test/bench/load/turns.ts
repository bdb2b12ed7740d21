import { call } from './client.ts'
import { type Job, percentile, type Result } from './jobs.ts'

type Turns = Extract<Job, { kind: 'turns' }>

const PROMPT = 'tokens 8 0'

/** Turns end to end: asked, stored, answered by the model, stored, read. */
export async function turns(job: Turns, begin: () => void): Promise<Result> {
  const latencies: number[] = []
  const run = async (count: number, name: string, note: (ms: number) => void) => {
    let next = 0
    await Promise.all(Array.from({ length: job.concurrency }, async (_, worker) => {
      for (let turn = 0; next < count; turn++) {
        next++
        const at = performance.now()
        await one(job, `bench-${name}-${worker}-${Math.floor(turn / job.perSession)}`)
        note(performance.now() - at)
      }
    }))
  }
  const tag = Math.random().toString(36).slice(2, 8)
  await run(Math.max(job.concurrency, job.count / 10), `warm-${tag}`, () => {})
  begin()
  const from = performance.now()
  await run(job.count, tag, (ms) => latencies.push(ms))
  const took = performance.now() - from
  return {
    count: latencies.length,
    perSecond: latencies.length / took * 1000,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  }
}

async function one({ url, token }: Turns, session: string): Promise<void> {
  const answer = token
    ? await call(`${url}/api/sessions/${session}/messages`, {
      token,
      json: { text: PROMPT },
      headers: { prefer: 'wait=60' },
    })
    : await call(url, { json: { text: PROMPT } })
  const { text } = JSON.parse(answer) as { text: string | null }
  if (text?.trim().split(' ').length !== 8) throw new Error(`A turn was answered with ${answer.slice(0, 300)}`)
}
