import { call } from './client.ts'
import { type Job, percentile, type Result } from './jobs.ts'

type Requests = Extract<Job, { kind: 'requests' }>

/** So many requests at a time, for so long. */
export async function requests(
  { url, token, json, concurrency, seconds }: Requests,
  begin: () => void,
): Promise<Result> {
  const init = { ...(token ? { token } : {}), ...(json === undefined ? {} : { json }) }
  const latencies: number[] = []
  const until = (end: number, note: (ms: number) => void) =>
    Promise.all(Array.from({ length: concurrency }, async () => {
      for (let at = performance.now(); at < end; at = performance.now()) {
        await call(url, init)
        note(performance.now() - at)
      }
    }))
  await until(performance.now() + seconds * 300, () => {})
  begin()
  const from = performance.now()
  await until(from + seconds * 1000, (ms) => latencies.push(ms))
  const took = performance.now() - from
  return {
    count: latencies.length,
    perSecond: latencies.length / took * 1000,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
  }
}
