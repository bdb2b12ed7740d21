import type { HandleClientError } from '@sveltejs/kit/hooks'
import { ApiError } from '$lib/api/client.ts'
import { explain } from '$lib/errors.ts'

/** Puts a failed `load` in words for `+error.svelte`; a mistake of the page itself goes to the console too. */
export const handleError: HandleClientError = ({ kind, error }) => {
  if (kind === 'framework') return
  if (!(error instanceof ApiError)) console.error(error)
  const { what, mend, requestId } = explain(error)
  return {
    message: what,
    mend,
    requestId,
    ...(error instanceof ApiError && error.status ? { status: error.status } : {}),
  }
}
