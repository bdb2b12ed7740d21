import { redirect } from '@sveltejs/kit'
import { auth } from '$lib/api/auth.ts'
import { ApiError } from '$lib/api/client.ts'
import { paths } from '$lib/paths.ts'
import type { LayoutLoad } from './$types'

export const ssr = false
export const prerender = false

/**
 * `failure` instead of a throw: without this data there is no shell that could show an error. The address is read
 * untracked, or each step to another page would ask again, and lose the shell while the server is away.
 */
export const load: LayoutLoad = async ({ fetch, url, route, untrack, depends }) => {
  depends('app:me')
  const here = untrack(() => ({ route: route.id, path: url.pathname + url.search }))
  if (here.route === '/login') return { me: undefined, failure: undefined }
  try {
    return { me: await auth(fetch).me(), failure: undefined }
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) redirect(307, paths.login(here.path))
    return { me: undefined, failure: error }
  }
}
