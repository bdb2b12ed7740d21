import type { Context } from 'hono'

/**
 * Sets headers of a finished answer in place; one that came straight from `fetch` is immutable and gets copied.
 * `vary` is added to what the answer varies by already.
 */
export function setHeaders(c: Context, headers: readonly (readonly [string, string])[]): void {
  try {
    put(c.res.headers, headers)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    const copy = new Response(c.res.body, c.res)
    put(copy.headers, headers)
    c.res = copy
  }
}

function put(target: Headers, headers: readonly (readonly [string, string])[]): void {
  for (const [name, value] of headers) {
    if (name === 'vary') target.append(name, value)
    else target.set(name, value)
  }
}
