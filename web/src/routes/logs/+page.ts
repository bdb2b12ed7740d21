import { type LogQuery, logs } from '$lib/api/logs.ts'
import type { PageLoad } from './$types'

const FEWEST = 200
const MOST = 2000

export const load: PageLoad = async ({ fetch, url }) => {
  const text = (name: string) => url.searchParams.get(name) ?? ''
  const filters = {
    level: text('level'),
    event: text('event'),
    q: text('q'),
    lines: Math.min(MOST, Math.max(FEWEST, Number(text('lines')) || FEWEST)),
  } satisfies LogQuery
  return { filters, more: filters.lines < MOST, entries: await logs(fetch).list(filters) }
}
