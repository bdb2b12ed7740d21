import type { Context } from 'hono'

/** Adds headers to a finished answer in place; one that came straight from `fetch` is immutable and gets copied. */
export function setHeaders(c: Context, headers: readonly (readonly [string, string])[]): void {
  try {
    for (const [name, value] of headers) c.res.headers.set(name, value)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const copy = new Response(c.res.body, c.res)
    for (const [name, value] of headers) copy.headers.set(name, value)
    c.res = copy
  }
}
