import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { matches } from './etag.ts'

/** One file as it is now. */
export type FileOnDisk = {
  path: string
  /** Bytes. */
  size: number
  /** Strong. */
  etag: string
}

/** Files up to this many bytes are sent in one piece. */
const ONE_PIECE = 1024 * 1024

/** The file, or the part of it that is asked for (RFC 9110 §14); nothing of one that the client has already. */
export async function fileResponse(request: Request, file: FileOnDisk, headers: Headers): Promise<Response> {
  headers.set('etag', file.etag)
  const tags = request.headers.get('if-none-match')
  if (tags && matches(tags, file.etag)) {
    return new Response(null, { status: 304, headers })
  }
  headers.set('accept-ranges', 'bytes')
  const range = rangeOf(request, file)
  if (range === 'outside') {
    headers.set('content-range', `bytes */${file.size}`)
    return new Response(null, { status: 416, headers })
  }
  const { start, end } = range ?? { start: 0, end: file.size - 1 }
  if (range) headers.set('content-range', `bytes ${start}-${end}/${file.size}`)
  headers.set('content-length', String(end - start + 1))
  const body = request.method === 'HEAD' ? null : await read(file, start, end)
  return new Response(body, { status: range ? 206 : 200, headers })
}

/** One range (RFC 9110 §14); several at once, other units and a stale `If-Range` get the whole file. */
function rangeOf(request: Request, file: FileOnDisk): { start: number; end: number } | 'outside' | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.get('range') ?? '') ?? []
  const condition = request.headers.get('if-range')
  if (first === undefined || last === undefined || first + last === '' || (condition && condition !== file.etag)) {
    return undefined
  }
  const start = first === '' ? Math.max(0, file.size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? file.size - 1 : Math.min(Number(last), file.size - 1)
  if (first !== '' && last !== '' && Number(last) < start) return undefined
  return start > end ? 'outside' : { start, end }
}

async function read(file: FileOnDisk, start: number, end: number): Promise<BodyInit> {
  if (file.size <= ONE_PIECE) return new Uint8Array(await readFile(file.path)).subarray(start, end + 1)
  return Readable.toWeb(createReadStream(file.path, { start, end })) as ReadableStream<Uint8Array<ArrayBuffer>>
}
