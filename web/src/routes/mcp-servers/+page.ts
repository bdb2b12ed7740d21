import { mcp } from '$lib/api/mcp.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, parent, depends }) => {
  depends('app:mcp')
  const [{ me }, servers] = await Promise.all([parent(), mcp(fetch).list()])
  return { admin: me?.scopes.includes('admin') === true, servers }
}
