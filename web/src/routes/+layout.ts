import { redirect } from '@sveltejs/kit'
import { auth } from '$lib/api/auth.ts'
import { ApiError } from '$lib/api/client.ts'
import { paths } from '$lib/paths.ts'
import type { LayoutLoad } from './$types'

export const ssr = false
export const prerender = false

/** `failure` instead of a throw: without this data there is no shell that could show an error. */
export const load: LayoutLoad = async ({ fetch, url, route }) => {
  if (route.id === '/login') return { me: undefined, failure: undefined }
  try {
    return { me: await auth(fetch).me(), failure: undefined }
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) redirect(307, paths.login(url.pathname + url.search))
    return { me: undefined, failure: error }
  }
}
