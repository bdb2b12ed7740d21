import { plugins } from '$lib/api/plugins.ts'
import type { LayoutLoad } from './$types'

export const load: LayoutLoad = async ({ fetch, parent, depends }) => {
  depends('app:channel-plugins')
  const [{ me }, installed] = await Promise.all([parent(), plugins(fetch).list()])
  return {
    admin: me?.scopes.includes('admin') === true,
    /** Plugins that carry a platform, and what the configuration names as one. */
    carriers: installed.filter(({ surface }) => surface.channels.length > 0),
  }
}
