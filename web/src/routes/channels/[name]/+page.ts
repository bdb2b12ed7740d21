import { error } from '@sveltejs/kit'
import { channels } from '$lib/api/channels.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, url, params, parent, depends }) => {
  depends('app:channels')
  const tab = url.searchParams.get('tab') ?? ''
  const client = channels(fetch)
  const { admin, carriers } = await parent()
  const seen = { channel: params.name, q: url.searchParams.get('q') ?? '' }
  const [list, people, groups] = await Promise.all([
    client.list(),
    admin && tab === 'people' ? client.people(seen) : undefined,
    admin && tab === 'people' ? client.groups(seen) : undefined,
  ])
  const channel = list.find(({ name }) => name === params.name)
  const plugin = carriers.find(({ name }) => name === params.name)
  if (!channel && !plugin) error(404, `There is no channel ${params.name}.`)
  return { name: params.name, channel, plugin, people, groups }
}
