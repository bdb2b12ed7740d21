import { plugins } from '$lib/api/plugins.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, parent, depends }) => {
  depends('app:plugins')
  const [{ me }, list] = await Promise.all([parent(), plugins(fetch).list()])
  return { admin: me?.scopes.includes('admin') === true, plugins: list }
}
