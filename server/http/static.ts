import { createHash } from 'node:crypto'
import { extname } from 'node:path'
import { fileResponse } from './file-response.ts'
import { createFileFinder, type StaticFile } from './static-files.ts'

const TYPES: Record<string, string> = {
  '.css': 'text/css; charset=utf-8',
  '.gif': 'image/gif',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
}

const SERVER_PATHS = /^\/(api|v1|mcp|hooks|ws|docs|metrics|livez|readyz|healthz|version|openapi\.(json|yaml))(\/|$)/

/** Whether a path belongs to the server and is never answered with a file or with the page of the app. */
export const isServerPath = (path: string): boolean => SERVER_PATHS.test(path)

/**
 * Serves the files of one folder, and its `index.html` for navigation to pages that the app itself draws.
 * Answers `undefined` for what it does not know: methods other than GET and HEAD, missing files, paths of the API.
 */
export function createStatic({ root }: { root: string }): (request: Request) => Promise<Response | undefined> {
  const find = createFileFinder(root, (html) => contentSecurityPolicy(inlineScriptHashes(html)))

  /** The precompressed twin that the client takes. Ranges are counted in the plain file. */
  const compressed = async (path: string, request: Request): Promise<[StaticFile, string] | undefined> => {
    const accepted = request.headers.get('accept-encoding') ?? ''
    if (request.headers.has('range')) return undefined
    for (const [name, suffix] of [['br', '.br'], ['gzip', '.gz']] as const) {
      if (!new RegExp(`\\b${name}\\b(?!\\s*;\\s*q=0(\\.0*)?\\s*(,|$))`, 'i').test(accepted)) continue
      const twin = await find(path + suffix)
      if (twin) return [twin, name]
    }
  }

  return async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
    const asked = safePath(new URL(request.url).pathname)
    if (asked === undefined || isServerPath(asked)) return undefined
    const found = await find(asked)
    if (!found && !isNavigation(request, asked)) return undefined
    const path = found ? asked : '/index.html'
    const file = found ?? await find(path)
    if (!file) return undefined
    const headers = new Headers({
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      // Names below this folder hold a hash of their content.
      'cache-control': path.startsWith('/_app/immutable/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      'vary': 'accept-encoding',
      'x-content-type-options': 'nosniff',
    })
    if (file.csp) headers.set('content-security-policy', file.csp)
    const twin = await compressed(path, request)
    if (twin) headers.set('content-encoding', twin[1])
    return await fileResponse(request, twin?.[0] ?? file, headers)
  }
}

/** The policy of a page; scripts run only from our own files and those whose hash is named. */
export function contentSecurityPolicy(inlineScriptHashes: readonly string[]): string {
  const scripts = ["'self'", ...inlineScriptHashes.map((hash) => `'${hash}'`)].join(' ')
  return [
    "default-src 'self'",
    `script-src ${scripts}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "connect-src 'self'",
    "font-src 'self'",
    "object-src 'none'",
    "base-uri 'self'",
    "frame-ancestors 'none'",
    "form-action 'self'",
  ].join('; ')
}

/** `sha256-…` of each inline script of a page, as its policy names them. */
export function inlineScriptHashes(html: string): string[] {
  return [...html.matchAll(/<script(?![^>]*\ssrc\s*=)[^>]*>([^]*?)<\/script>/gi)]
    .map(([, code]) => `sha256-${createHash('sha256').update(code!).digest('base64')}`)
}

/** The decoded path, unless it tries to leave the root or names what is no file: dot files, NUL, backslash. */
function safePath(pathname: string): string | undefined {
  let path: string
  try {
    path = decodeURIComponent(pathname)
  } catch {
    return undefined
  }
  // deno-lint-ignore no-control-regex
  if (/[\\\x00-\x1f]/.test(path) || /%(00|2e|2f|5c)/i.test(path)) return undefined
  return path.split('/').some((part) => part.startsWith('.')) ? undefined : path
}

/** A browser that opens a page, rather than a script or picture that is missing. Ids in paths may hold dots. */
const isNavigation = (request: Request, path: string): boolean =>
  (request.headers.get('accept') ?? '').includes('text/html') && TYPES[extname(path)] === undefined
