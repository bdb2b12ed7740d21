import { tools } from '$lib/api/tools.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, url, parent, depends }) => {
  depends('app:rules')
  const { me } = await parent()
  const client = tools(fetch)
  const [rules, list] = await Promise.all([client.rules(), client.list()])
  return {
    admin: me?.scopes.includes('admin') === true,
    rules,
    names: list.map(({ name }) => name).sort(),
    /** The id of one to point out. */
    wanted: url.searchParams.get('rule'),
  }
}
