import { auth } from '$lib/api/auth.ts'
import type { PageLoad } from './$types'

const DAY = 86_400

export const load: PageLoad = async ({ fetch, url, parent, depends }) => {
  depends('app:audit')
  const text = (name: string) => url.searchParams.get(name) ?? ''
  const filters = { action: text('action'), actor: text('actor'), about: text('about'), days: text('days') }
  const days = Number(filters.days)
  const since = days > 0 ? Math.floor(Date.now() / 1000) - days * DAY : undefined
  const query = { action: filters.action, actor: filters.actor, about: filters.about, since, limit: 50 }
  const { me } = await parent()
  const admin = me?.scopes.includes('admin') === true
  return { admin, filters, query, first: admin ? await auth(fetch).audit(query) : { items: [], nextCursor: null } }
}
