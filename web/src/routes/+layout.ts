import { redirect } from '@sveltejs/kit'
import { auth } from '$lib/api/auth.ts'
import { ApiError } from '$lib/api/client.ts'
import { paths } from '$lib/paths.ts'
import type { LayoutLoad } from './$types'

export const ssr = false
export const prerender = false

export const load: LayoutLoad = async ({ fetch, url, route }) => {
  if (route.id === '/login') return { me: undefined }
  try {
    return { me: await auth(fetch).me() }
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) redirect(307, paths.login(url.pathname + url.search))
    throw error
  }
}
