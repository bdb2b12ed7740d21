import { tools } from '$lib/api/tools.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, parent, depends }) => {
  depends('app:tools')
  const { me } = await parent()
  const client = tools(fetch)
  const [list, rules] = await Promise.all([client.list(), client.rules()])
  const scopes = new Set(me?.scopes)
  const admin = scopes.has('admin')
  return { admin, mayRun: admin || scopes.has('chat'), tools: list, rules: rules.data.rules }
}
