import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Context, Hono } from 'hono'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import { buildDocument, type Document, type Route } from './document.ts'

/** Nothing but our own style sheet and script; the page has no forms and loads no data. */
const POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** The description of the API and the page to read it, for everybody: they tell of routes, never of this server. */
export function openapiRoutes({ routes, version }: { routes: () => readonly Route[]; version: string }): Hono<AppEnv> {
  const document = once((): Promise<Document> => buildDocument(routes(), version))
  const json = once(async () => page(JSON.stringify(await document(), null, 2)))
  const yaml = once(async () =>
    page((await import('yaml')).stringify(await document(), { aliasDuplicateObjects: false }))
  )
  const docs = once(async () => page(String(await (await import('./page.ts')).docsPage(await document()))))
  const css = once(() => asset('docs.css'))
  const script = once(() => asset('docs.js'))
  const served = (id: string, summary: string, media: string) =>
    operation({
      id,
      summary,
      scope: 'public',
      media,
      returns: media === 'application/json' ? 'An OpenAPI 3.1 document' : 'The text',
    })

  return new Hono<AppEnv>()
    .get(
      '/openapi.json',
      served('getOpenapi', 'This API as OpenAPI 3.1', 'application/json'),
      send('application/json', json),
    )
    .get(
      '/openapi.yaml',
      served('getOpenapiYaml', 'The same as YAML', 'application/yaml'),
      send('application/yaml', yaml),
    )
    .get('/docs', served('getDocs', 'The page that you read', 'text/html'), async (c) => {
      c.header('content-security-policy', POLICY)
      return await send('text/html', docs)(c)
    })
    .get('/docs/docs.css', served('getDocsStyle', 'Its style sheet', 'text/css'), send('text/css', css))
    .get('/docs/docs.js', served('getDocsScript', 'Its script', 'text/javascript'), send('text/javascript', script))
}

type Page = { text: string; etag: string }

const page = (text: string): Page => ({
  text,
  etag: `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`,
})

const asset = async (name: string): Promise<Page> =>
  page(await readFile(join(import.meta.dirname, 'assets', name), 'utf8'))

const send = (type: string, make: () => Promise<Page>) => async (c: Context): Promise<Response> => {
  const { text, etag } = await make()
  c.header('etag', etag)
  c.header('cache-control', 'no-cache')
  if (c.req.header('if-none-match')?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)) {
    return c.body(null, 304)
  }
  return c.body(text, 200, { 'content-type': `${type}; charset=utf-8` })
}

/** Made when it is first asked for; a failure is tried again. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((error) => {
      made = undefined
      throw error
    })
    return made
  }
}
