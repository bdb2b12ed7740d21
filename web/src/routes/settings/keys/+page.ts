import { auth } from '$lib/api/auth.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, parent, depends }) => {
  depends('app:keys')
  const { me } = await parent()
  const client = auth(fetch)
  const admin = me?.scopes.includes('admin') === true
  const [browsers, keys, audit] = await Promise.all([
    client.browsers(),
    admin ? client.keys() : [],
    admin ? client.audit() : { items: [], nextCursor: null },
  ])
  return { admin, browsers, keys, audit }
}
