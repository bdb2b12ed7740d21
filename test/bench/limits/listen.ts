import type { Hono } from 'hono'

declare const Deno: { serve(options: object, fetch: (request: Request) => Response | Promise<Response>): unknown }
declare const Bun: { serve(options: object): unknown }

/** Serves an app with nothing around it, on the runtime that runs this. */
export async function listen(app: Hono): Promise<void> {
  const hostname = process.env.HOST ?? '127.0.0.1'
  const port = Number(process.env.PORT)
  const fetch = (request: Request) => app.fetch(request)
  process.on('SIGTERM', () => process.exit(0))
  if ('Bun' in globalThis) Bun.serve({ hostname, port, idleTimeout: 0, fetch })
  else if ('Deno' in globalThis) Deno.serve({ hostname, port, onListen() {} }, fetch)
  else (await import('@hono/node-server')).serve({ fetch, hostname, port })
}
