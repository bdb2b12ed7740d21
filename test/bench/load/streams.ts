import { call, follow } from './client.ts'
import { now } from './clock.ts'
import { type Job, percentile, type Result } from './jobs.ts'

type Streams = Extract<Job, { kind: 'streams' }>

/** Paced streams side by side: how late the first token is, and how long each takes from the model to the reader. */
export async function streams(job: Streams, begin: () => void): Promise<Result> {
  const first: number[] = []
  const late: number[] = []
  const lanes = await Promise.all(
    Array.from({ length: job.concurrency }, (_, lane) => job.how === 'chat' ? chatLane(job) : turnLane(job, lane)),
  )
  const spread = Math.min(1000, job.concurrency * 2)
  const round = async (note: boolean) => {
    await Promise.all(lanes.map(async (lane, index) => {
      // People don't all ask in the same millisecond.
      await new Promise((resolve) => setTimeout(resolve, index / job.concurrency * spread))
      let begun = true
      const asked = now()
      await lane((stamp) => {
        const at = now()
        if (note && begun) first.push(at - asked)
        if (note && !begun) late.push(at - stamp)
        begun = false
      })
    }))
  }
  await round(false)
  begin()
  const from = performance.now()
  for (let i = 0; i < job.rounds; i++) await round(true)
  const took = performance.now() - from
  const wanted = job.rounds * job.concurrency * job.tokens
  if (first.length + late.length !== wanted) {
    throw new Error(`${first.length + late.length} of ${wanted} tokens came`)
  }
  return {
    count: wanted,
    perSecond: wanted / took * 1000,
    p50: percentile(first, 0.5),
    p99: percentile(first, 0.99),
    tokenP50: percentile(late, 0.5),
    tokenP99: percentile(late, 0.99),
  }
}

type Lane = (onToken: (stamp: number) => void) => Promise<void>

const promptOf = ({ tokens, gapMs }: Streams): string => `tokens ${tokens} ${gapMs}`

/** The model's own stream, straight from it or through a proxy. */
async function chatLane(job: Streams): Promise<Lane> {
  const json = { model: 'bench', stream: true, messages: [{ role: 'user', content: promptOf(job) }] }
  return async (onToken) => {
    const reader = await follow(`${job.url}/v1/chat/completions`, { json }, (data) => {
      if (data === '[DONE]') return
      const chunk = JSON.parse(data) as { choices: { delta?: { content?: string } }[] }
      stampsOf(chunk.choices[0]?.delta?.content).forEach(onToken)
    })
    await reader.ended
  }
}

/** A session that is read while its turns run, as a page does. */
async function turnLane(job: Streams, lane: number): Promise<Lane> {
  const token = job.token ?? ''
  const id = `stream-${Math.random().toString(36).slice(2, 8)}-${lane}`
  await call(`${job.url}/api/sessions`, { token, json: { session_id: id } })
  let onToken: (stamp: number) => void = () => {}
  let finish: () => void = () => {}
  await follow(`${job.url}/api/sessions/${id}/events`, { token }, (data) => {
    const event = JSON.parse(data) as { type: string; delta?: string }
    if (event.type === 'text') stampsOf(event.delta).forEach((stamp) => onToken(stamp))
    if (event.type === 'turn_finished') finish()
  })
  return async (listener) => {
    onToken = listener
    const finished = new Promise<void>((resolve) => (finish = resolve))
    await call(`${job.url}/api/sessions/${id}/messages`, { token, json: { text: promptOf(job) } })
    await finished
  }
}

const stampsOf = (text = ''): number[] => text.split(' ').filter(Boolean).map(Number)
