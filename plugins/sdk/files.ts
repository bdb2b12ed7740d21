import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { MediaPayload } from '../../shared/gateway-protocol.ts'
import { PluginError } from './errors.ts'

/** What fits into one line to the core, in base64 and with the rest of the message. */
const LINE_BYTES = 640 * 1024
/** Larger ones go through the folder, where there is one. */
const INLINE_BYTES = 64 * 1024
/** What a core takes that does not say. */
const USUAL_BYTES = 25 * 1024 ** 2

/** A file that came with a message. */
export type IncomingFile = {
  /** As people know it. */
  name: string
  /** Its media type, such as `image/png`. */
  type: string
  data: Uint8Array | AsyncIterable<Uint8Array>
}

type Of<Source extends MediaPayload['source']> = Extract<MediaPayload, { source: Source }>
/** A file as a command to a platform carries it: an address without `bytes`, or the file itself. */
export type PlatformMedia =
  | { media: Of<'url'>; bytes?: undefined }
  | { media: Of<'base64'>; bytes: Uint8Array }

export type Files = ReturnType<typeof createFiles>

/** Files between a plugin and the core: small ones within the line, others through the plugin's folder. */
export function createFiles({ dataDir, maxBytes = USUAL_BYTES }: {
  dataDir: string | null
  /** What the core takes. */
  maxBytes: number | undefined
}) {
  const max = dataDir === null ? Math.min(maxBytes, LINE_BYTES) : maxBytes

  async function inline({ name, type, data }: IncomingFile): Promise<string> {
    const parts: Uint8Array[] = []
    for await (const part of limited(data, max)) parts.push(part)
    return `data:${typeOf(type)};name=${encodeURIComponent(nameOf(name))};base64,${
      Buffer.concat(parts).toString('base64')
    }`
  }

  async function throughFolder(root: string, { name, data }: IncomingFile): Promise<string> {
    const folder = join(root, 'incoming', randomUUID())
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, nameOf(name))
    try {
      const file = await open(path, 'wx', 0o600)
      try {
        for await (const part of limited(data, max)) {
          for (let at = 0; at < part.length;) at += (await file.write(part, at)).bytesWritten
        }
        // The message that names it may be confirmed to the platform right after.
        await file.sync()
      } finally {
        await file.close()
      }
      return pathToFileURL(path).href
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      throw error
    }
  }

  return {
    max,

    /** The address under which the core finds a file; throws `too_large`. */
    put: (file: IncomingFile): Promise<string> =>
      dataDir === null || (file.data instanceof Uint8Array && file.data.length <= INLINE_BYTES)
        ? inline(file)
        : throughFolder(dataDir, file),

    /** What a command carries, with its bytes where it is more than an address. */
    async take(media: MediaPayload): Promise<PlatformMedia> {
      if (media.source === 'url') return { media }
      if (media.source === 'base64') return { media, bytes: Buffer.from(media.data, 'base64') }
      const { path, mime_type, filename } = media
      const bytes = await readFile(path).catch((cause: unknown) => {
        throw new PluginError('platform_error', 'The file to send could not be read', { cause })
      })
      // Base64 of a large file is made for those only who ask for it.
      const data = { get: () => bytes.toString('base64'), enumerable: true }
      const inline = Object.defineProperty({ source: 'base64', mime_type, filename }, 'data', data)
      return { media: inline as Of<'base64'>, bytes }
    },
  }
}

async function* limited(data: IncomingFile['data'], max: number): AsyncGenerator<Uint8Array> {
  let size = 0
  for await (const part of data instanceof Uint8Array ? [data] : data) {
    size += part.length
    if (size > max) throw new PluginError('too_large', `The file is larger than ${max} bytes`)
    yield part
  }
}

/** Names come from strangers. */
// oxlint-disable-next-line no-control-regex
const nameOf = (name: string): string =>
  basename(name.replace(/[\x00-\x1f\x7f\\]/g, '_')).slice(-100).replace(/^\.+/, '') || 'file'

const typeOf = (type: string): string => /^[\w.+-]+\/[\w.+-]+/.exec(type)?.[0] ?? 'application/octet-stream'
