import { version } from '$app/env'
import { assets, immutable } from '$app/manifest'
import { self } from '$app/service-worker'

/** One cache for each build; older ones go when this one takes over. */
const CACHE = `shell-${version}`
/** The page itself; every route is the same file. */
const PAGE = '/'
const FILES = [...immutable, ...assets].map(({ path }) => (path.startsWith('/') ? path : `/${path}`))

self.addEventListener('install', (event) => event.waitUntil(fill().then(() => self.skipWaiting())))
self.addEventListener('activate', (event) => event.waitUntil(dropOld().then(() => self.clients.claim())))

self.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  if (request.method !== 'GET' || url.origin !== location.origin) return
  if (request.mode === 'navigate') event.respondWith(page(request))
  else if (FILES.includes(url.pathname)) event.respondWith(file(request))
  // Everything else is data: it is never kept, so nothing private outlives a sign-out.
})

async function fill(): Promise<void> {
  const cache = await caches.open(CACHE)
  await cache.addAll([new Request(PAGE, { headers: { accept: 'text/html' } }), ...FILES])
}

async function dropOld(): Promise<void> {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name)
}

/** The server's page while it answers, else the kept one, which says that the server is away. */
async function page(request: Request): Promise<Response> {
  try {
    return await fetch(request)
  } catch {
    return (await caches.match(PAGE)) ?? Response.error()
  }
}

async function file(request: Request): Promise<Response> {
  return (await caches.match(request)) ?? fetch(request)
}
