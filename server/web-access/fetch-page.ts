import type { Outbound } from '../http/outbound.ts'
import { readable } from './readable.ts'

/** Bytes of a page, after decompression. */
const MAX_BYTES = 5 * 1024 * 1024
const TIMEOUT_MS = 30_000

/** What a page says. `content` is missing for what is no text. */
export type Page = {
  /** After redirects. */
  url: string
  status: number
  content_type: string
  title?: string
  content?: string
  bytes: number
}

/** Loads an address through the guard and gives what a person could read there. */
export async function fetchPage(outbound: Outbound, url: string, signal: AbortSignal): Promise<Page> {
  const response = await outbound.fetch(url, {
    headers: {
      accept: 'text/html,application/xhtml+xml,text/markdown,text/plain,application/json;q=0.9,*/*;q=0.5',
      'user-agent': 'Mozilla/5.0 (compatible; Gatehouse)',
    },
    signal,
    maxBytes: MAX_BYTES,
    timeoutMs: TIMEOUT_MS,
  })
  const bytes = new Uint8Array(await response.arrayBuffer())
  const header = response.headers.get('content-type') ?? ''
  const type = header.split(';')[0]!.trim().toLowerCase() || guessed(bytes)
  const page = { url: response.url, status: response.status, content_type: type, bytes: bytes.length }
  if (type === 'text/html' || type === 'application/xhtml+xml') {
    const { title, text } = readable(decoded(bytes, header), response.url)
    return { ...page, ...(title ? { title } : {}), content: text }
  }
  const isText = /^text\/|[/+](?:json|xml|yaml|javascript)$|^application\/(?:x-yaml|x-ndjson)$/.test(type)
  return isText && !bytes.subarray(0, 4096).includes(0) ? { ...page, content: decoded(bytes, header) } : page
}

const guessed = (bytes: Uint8Array): string => {
  const start = new TextDecoder().decode(bytes.subarray(0, 512)).trimStart().toLowerCase()
  if (start.startsWith('%pdf-')) return 'application/pdf'
  if (start.includes('\0')) return 'application/octet-stream'
  return /^<!doctype html|^<html/.test(start) ? 'text/html' : 'text/plain'
}

/** In the character set that the answer, or else the page, names; UTF-8 where it is unknown. */
function decoded(bytes: Uint8Array, header: string): string {
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 2048))
  const named = /charset\s*=\s*["']?([\w-]+)/i.exec(header)?.[1] ??
    /<meta[^>]{0,200}charset\s*=\s*["']?([\w-]+)/i.exec(start)?.[1]
  try {
    return new TextDecoder(named ?? 'utf-8').decode(bytes)
  } catch {
    return new TextDecoder().decode(bytes)
  }
}
