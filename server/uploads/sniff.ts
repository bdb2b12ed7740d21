import type { Upload } from '../../shared/uploads.ts'

type Signature = { mime: string; at: number; bytes: number[] }

const ascii = (text: string): number[] => [...text].map((char) => char.charCodeAt(0))

/** First bytes of the kinds that models and browsers can use (WHATWG MIME Sniffing §6). */
const SIGNATURES: Signature[] = [
  { mime: 'image/png', at: 0, bytes: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] },
  { mime: 'image/jpeg', at: 0, bytes: [0xff, 0xd8, 0xff] },
  { mime: 'image/gif', at: 0, bytes: ascii('GIF8') },
  { mime: 'image/webp', at: 8, bytes: ascii('WEBP') },
  { mime: 'audio/wav', at: 8, bytes: ascii('WAVE') },
  { mime: 'audio/ogg', at: 0, bytes: ascii('OggS') },
  { mime: 'audio/flac', at: 0, bytes: ascii('fLaC') },
  { mime: 'audio/mpeg', at: 0, bytes: ascii('ID3') },
  { mime: 'audio/mp4', at: 4, bytes: ascii('ftypM4A') },
  { mime: 'video/mp4', at: 4, bytes: ascii('ftyp') },
  { mime: 'video/webm', at: 0, bytes: [0x1a, 0x45, 0xdf, 0xa3] },
  { mime: 'application/pdf', at: 0, bytes: ascii('%PDF-') },
  { mime: 'application/zip', at: 0, bytes: [0x50, 0x4b, 0x03, 0x04] },
]

const TEXT_TYPES: Record<string, string> = {
  md: 'text/markdown',
  csv: 'text/csv',
  json: 'application/json',
  yaml: 'application/yaml',
  yml: 'application/yaml',
}

/** The type that the bytes show. The name only refines what is text anyway. */
export function sniff(bytes: Uint8Array, filename: string): string {
  const found = SIGNATURES.find(({ at, bytes: wanted }) => wanted.every((byte, i) => bytes[at + i] === byte))
  if (found) return found.mime
  if (bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xe0) === 0xe0) return 'audio/mpeg'
  if (!isText(bytes)) return 'application/octet-stream'
  const extension = filename.slice(filename.lastIndexOf('.') + 1).toLowerCase()
  return TEXT_TYPES[extension] ?? 'text/plain'
}

export function kindOf(mime: string): Upload['type'] {
  if (mime.startsWith('image/')) return 'image'
  if (mime.startsWith('audio/')) return 'voice'
  if (mime.startsWith('video/')) return 'video'
  return 'file'
}

/** Whether the first bytes are UTF-8 without control characters; the last character may be cut. */
function isText(bytes: Uint8Array): boolean {
  const head = bytes.subarray(0, 4096)
  if (head.some((byte) => byte < 9 || (byte > 13 && byte < 32 && byte !== 27))) return false
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
    return true
  } catch {
    return false
  }
}
