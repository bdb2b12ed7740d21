import { call, follow } from './client.ts'
import { type Job, percentile, type Result } from './jobs.ts'

type Fanout = Extract<Job, { kind: 'fanout' }>

/** One event to many readers: the time from the request that causes it until the last of them has it. */
export async function fanout(job: Fanout, begin: () => void): Promise<Result> {
  const init = job.token ? { token: job.token } : {}
  const session = `${job.url}/api/sessions/fanout`
  if (job.how !== 'bare') await call(`${job.url}/api/sessions`, { ...init, json: { session_id: 'fanout' } })
  let marker = ''
  let left = 0
  let done: () => void = () => {}
  const path =
    { bare: '/events', resource: '/api/stream?topics=resources', turn: '/api/sessions/fanout/events' }[job.how]
  for (let opened = 0; opened < job.subscribers; opened += 50) {
    await Promise.all(
      Array.from({ length: Math.min(50, job.subscribers - opened) }, () =>
        follow(job.url + path, init, (data) => {
          if (data.includes(marker) && --left === 0) done()
        })),
    )
  }
  const publish = (round: number): Promise<string> => {
    switch (job.how) {
      case 'bare':
        return call(`${job.url}/publish`, { json: { v: 1, resource: 'session', action: 'updated', id: 'fanout' } })
      case 'resource':
        return call(session, { ...init, method: 'PATCH', json: { title: `round ${round}` } })
      case 'turn':
        // The built-in assistant says little to this, so that the turn is over before the next round.
        return call(`${session}/messages`, { ...init, json: { text: '1+1' } })
    }
  }
  // Of a turn only its first event counts, so that one event is measured and not five.
  marker = job.how === 'turn' ? '"turn_queued"' : '"v":1'
  const times: number[] = []
  const one = async (round: number): Promise<number> => {
    left = job.subscribers
    const everybody = new Promise<void>((resolve) => (done = resolve))
    const at = performance.now()
    const answered = publish(round)
    await everybody
    const took = performance.now() - at
    await answered
    // The rest of the turn, which all of them read too, and the machine come to rest.
    await new Promise((resolve) => setTimeout(resolve, job.how === 'turn' ? 250 + job.subscribers : 30))
    return took
  }
  for (let round = 0; round < 3; round++) await one(round)
  begin()
  for (let round = 3; round < job.rounds + 3; round++) times.push(await one(round))
  return { count: times.length, perSecond: NaN, p50: percentile(times, 0.5), p99: percentile(times, 0.99) }
}
