import { config } from '$lib/api/config.ts'
import { system } from '$lib/api/system.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, parent, depends }) => {
  depends('app:config')
  const { me } = await parent()
  if (!me?.scopes.includes('admin')) return { admin: false as const }
  const client = config(fetch)
  const [schema, file, effective, versions] = await Promise.all([
    client.schema(),
    client.yaml(),
    client.effective(),
    client.history(),
  ])
  const activeTurns = effective.restart_required ? (await system(fetch).snapshot()).gatehouse.active_turns : 0
  return { admin: true as const, schema, file, effective, versions, activeTurns }
}
