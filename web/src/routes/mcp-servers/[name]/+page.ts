import { mcp } from '$lib/api/mcp.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, params, parent, depends }) => {
  depends('app:mcp')
  const client = mcp(fetch)
  const [{ me }, server, tools] = await Promise.all([parent(), client.get(params.name), client.tools()])
  return {
    admin: me?.scopes.includes('admin') === true,
    server,
    tools: tools.filter((tool) => tool.server === server.name),
  }
}
