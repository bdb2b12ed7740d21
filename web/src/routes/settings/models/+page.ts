import { models } from '$lib/api/models.ts'
import type { PageLoad } from './$types'

export const load: PageLoad = async ({ fetch, parent, depends }) => {
  depends('app:models')
  const client = models(fetch)
  const [{ me }, providers, added, options] = await Promise.all([
    parent(),
    client.providers(),
    client.list(),
    client.options(),
  ])
  return { admin: me?.scopes.includes('admin') === true, providers, models: added, options }
}
