import type { SystemSnapshot } from '$shared/system.ts'
import { api, type Fetch } from './client.ts'

export const system = (fetch?: Fetch) => {
  const client = api(fetch)
  return {
    snapshot: () => client.get<SystemSnapshot>('/api/system'),
    /** Answers before the process ends and starts again. */
    restart: () => client.post<{ ok: boolean }>('/api/restart'),
  }
}
