import { plugins } from '$lib/api/plugins.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, params, parent, depends }) => {
  depends('app:plugins')
  const [{ me }, plugin] = await Promise.all([parent(), plugins(fetch).get(params.name)])
  return { admin: me?.scopes.includes('admin') === true, plugin }
}
