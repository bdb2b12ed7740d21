import { system } from '$lib/api/system.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, parent, depends }) => {
  depends('app:system')
  const { me } = await parent()
  return { admin: me?.scopes.includes('admin') === true, snapshot: await system(fetch).snapshot() }
}
