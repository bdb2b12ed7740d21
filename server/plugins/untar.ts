import { Buffer } from 'node:buffer'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const BLOCK = 512
const MAX_UNPACKED = 200 * 1024 * 1024
const MAX_FILES = 20_000

/**
 * Unpacks a gzipped tar archive, as npm makes them, into `folder`, without its outermost folder. Only files and
 * folders: links, devices and paths that lead elsewhere are refused.
 */
export async function untar(archive: Uint8Array, folder: string): Promise<void> {
  const bytes = await gunzip(archive)
  let longName: string | undefined
  let files = 0
  for (let at = 0; at + BLOCK <= bytes.length;) {
    const header = bytes.subarray(at, at + BLOCK)
    if (header.every((byte) => byte === 0)) return
    if (octal(header, 148, 8) !== checksum(header)) throw new Error('the archive is damaged or is no tar archive')
    const size = octal(header, 124, 12)
    const body = bytes.subarray(at + BLOCK, at + BLOCK + size)
    if (!(size >= 0) || body.length < size) throw new Error('the archive is cut off or is no tar archive')
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
    const type = String.fromCharCode(header[156]!)
    if (type === 'x' || type === 'L') {
      longName = type === 'x' ? paxPath(text(body)) ?? longName : text(body).replace(/\0+$/, '')
      continue
    }
    if (type === 'g') continue
    const prefix = text(header.subarray(345, 500))
    const name = longName ?? (prefix ? `${prefix}/${text(header.subarray(0, 100))}` : text(header.subarray(0, 100)))
    longName = undefined
    const path = inside(name)
    if (path === undefined || type === '5') continue
    if (type !== '0' && type !== '\0') throw new Error(`the archive holds a link or a device (${name})`)
    if (++files > MAX_FILES) throw new Error(`the archive holds more than ${MAX_FILES} files`)
    const target = join(folder, path)
    await mkdir(dirname(target), { recursive: true })
    const isProgram = (octal(header, 100, 8) & 0o111) !== 0
    await writeFile(target, body, { mode: isProgram ? 0o755 : 0o644 })
  }
}

/** Without the outermost folder; undefined for that folder itself. */
function inside(name: string): string | undefined {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (name.startsWith('/') || name.includes('\\') || parts.includes('..')) {
    throw new Error(`the archive holds a path that leads elsewhere (${name})`)
  }
  return parts.length > 1 ? parts.slice(1).join('/') : undefined
}

const text = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}

const octal = (header: Uint8Array, from: number, length: number): number =>
  parseInt(text(header.subarray(from, from + length)).trim() || '0', 8)

/** The sum of a header's bytes, its own field read as spaces. */
const checksum = (header: Uint8Array): number =>
  header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 0x20 : byte), 0)

const paxPath = (body: string): string | undefined => /^\d+ path=(.*)$/m.exec(body)?.[1]

async function gunzip(archive: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([archive as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('gzip'))
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of stream as unknown as AsyncIterable<Uint8Array>) {
    size += part.length
    if (size > MAX_UNPACKED) throw new Error(`the archive is larger than ${MAX_UNPACKED} bytes when unpacked`)
    parts.push(part)
  }
  return Buffer.concat(parts, size)
}
