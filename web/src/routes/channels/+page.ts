import { channels } from '$lib/api/channels.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, url, parent, depends }) => {
  depends('app:channels')
  const client = channels(fetch)
  const tab = url.searchParams.get('tab') ?? ''
  const query = { channel: url.searchParams.get('channel') ?? '', state: url.searchParams.get('state') ?? '' }
  const { admin } = await parent()
  const [list, people, routes, outbox] = await Promise.all([
    client.list(),
    admin && tab === 'people' ? client.people() : undefined,
    tab === 'routing' ? client.routes() : undefined,
    admin && tab === 'outbox' ? openOutbox(client, query) : undefined,
  ])
  return { channels: list, people, routes, outbox }
}

/** Without a filter: what waits, after what needs a decision. */
async function openOutbox(client: ReturnType<typeof channels>, query: { channel: string; state: string }) {
  if (query.state !== '') return await client.outbox(query)
  const [dead, waiting] = await Promise.all([
    client.outbox({ channel: query.channel, state: 'dead', limit: 200 }),
    client.outbox({ channel: query.channel, state: 'open', limit: 200 }),
  ])
  return { entries: [...dead.entries, ...waiting.entries], nextCursor: null }
}
