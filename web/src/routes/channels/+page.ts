import { channels } from '$lib/api/channels.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, url, parent, depends }) => {
  depends('app:channels')
  const client = channels(fetch)
  const tab = url.searchParams.get('tab') ?? ''
  const query = { channel: url.searchParams.get('channel') ?? '', state: url.searchParams.get('state') ?? '' }
  const { admin } = await parent()
  const seen = { channel: query.channel, q: url.searchParams.get('q') ?? '' }
  const [list, people, groups, routes, outbox] = await Promise.all([
    client.list(),
    admin && tab === 'people' ? client.people(seen) : undefined,
    admin && tab === 'people' ? client.groups(seen) : undefined,
    tab === 'routing' ? client.routes() : undefined,
    admin && tab === 'outbox' ? openOutbox(client, query) : undefined,
  ])
  return { channels: list, people, groups, routes, outbox }
}

/** Without a filter: what needs a decision, then what waits. */
const openOutbox = (client: ReturnType<typeof channels>, query: { channel: string; state: string }) =>
  Promise.all((query.state === '' ? ['dead', 'open'] : [query.state]).map(async (state) => ({
    state,
    first: await client.outbox({ ...query, state }),
  })))
