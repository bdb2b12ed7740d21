/**
 * A request for `fetch` that is sent at most once, for what can't be done twice without harm. Deno sends any other a
 * second time by itself when a kept connection breaks, though the other side may have read the first; a body that is a
 * stream it can't.
 */
export function sentOnce(init: RequestInit): RequestInit {
  if (typeof init.body !== 'string') return init
  const body = new Blob([init.body])
  const headers = new Headers(init.headers)
  // Without it Node sends in chunks, which not every server takes.
  headers.set('content-length', String(body.size))
  return { ...init, headers, body: body.stream(), duplex: 'half' } as RequestInit
}
