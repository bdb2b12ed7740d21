import { approvals } from '$lib/api/approvals.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, url, depends }) => {
  depends('app:approvals')
  const text = (name: string) => url.searchParams.get(name) ?? ''
  const filters = { state: text('state'), tool: text('tool'), session: text('session') }
  const query = {
    state: filters.state || 'answered',
    tool: filters.tool,
    session_id: filters.session,
    limit: 50,
  }
  return { filters, query, first: await approvals(fetch).list(query) }
}
