import { extname } from 'node:path'
import type { ChannelSettings } from '../../shared/channels.ts'
import type { MediaPayload } from '../../shared/gateway-protocol.ts'
import type { Attachment } from '../../shared/turn-events.ts'
import { AppError } from '../errors.ts'
import type { Gateway } from '../plugins/gateway.ts'
import { channelCaller, type ChannelDeps, CHANNELS } from './deps.ts'
import type { InboxRow } from './inbox-store.ts'
import type { MediaFiles } from './media-files.ts'
import type { Hearing } from './voice-notes.ts'

const FETCH_MS = 60_000
/** Bytes of a file that still goes within a command; larger ones go by path, where the plugin takes that. */
const INLINE = 128 * 1024
/** Never handed to people, whatever the agent thinks of it (spec openagent-api §1.11). */
const PROGRAMS = new Set(
  '.exe .bat .cmd .com .msi .scr .pif .vbs .vbe .jse .ws .wsf .wsh .ps1 .hta .cpl .lnk .reg .jar'.split(' '),
)

/** The file as a command carries it, or words in its place. */
export type MediaOut = (
  carrier: Gateway,
  row: { id: string; channel: string },
  attachment: Attachment,
) => Promise<MediaPayload | string>

/** Files in both directions, within the channel's limit. */
export function createMedia(
  deps: Pick<ChannelDeps, 'uploads' | 'outbound'> & {
    files: MediaFiles
    settings: (name: string) => ChannelSettings
  },
) {
  const { uploads, outbound, files, settings } = deps

  /** Only what the network guard lets through, what stands in the address itself, or in the plugin's own folder. */
  async function bytesAt({ channel, url }: { channel: string; url: string }): Promise<Uint8Array> {
    const limit = settings(channel).max_media_bytes
    if (isFile(url)) return await files.read(channel, url, limit)
    const inline = /^data:[^,]*?(;base64)?,/i.exec(url)
    if (inline) {
      const data = url.slice(inline[0].length)
      const bytes = inline[1] ? Buffer.from(data, 'base64') : Buffer.from(safelyDecoded(data))
      if (bytes.length > limit) throw tooLarge(limit)
      return bytes
    }
    if (!/^https?:/i.test(url)) {
      throw new AppError('invalid_input', 'its address is neither http(s):, data: nor a file of its plugin')
    }
    const response = await outbound.fetch(url, { maxBytes: limit, timeoutMs: FETCH_MS })
    if (!response.ok) {
      await response.body?.cancel()
      throw new AppError('bad_gateway', `its server answered ${response.status}`)
    }
    return new Uint8Array(await response.arrayBuffer())
  }

  const outgoing: MediaOut = async (carrier, { id, channel }, attachment) => {
    const { filename } = attachment
    const able = carrier.ready?.capabilities ?? []
    if (PROGRAMS.has(extname(filename).toLowerCase())) return `📎 ${filename} (programs are not sent)`
    if (!able.includes('media')) return `📎 ${filename} (this channel takes no files)`
    const { path, size, mime_type } = await uploads.find(CHANNELS, attachment.path)
    if (size > settings(channel).max_media_bytes) return `📎 ${filename} (too large for this channel)`
    if (size > INLINE && able.includes('media_file') && carrier.data_dir !== undefined) {
      return { source: 'file', path: await files.put(carrier.data_dir, id, { path, filename }), mime_type, filename }
    }
    const { bytes } = await uploads.read(CHANNELS, path)
    return { source: 'base64', data: Buffer.from(bytes).toString('base64'), mime_type, filename }
  }

  return {
    outgoing,

    /** The plugin said what became of a file: its copy is not needed any more. */
    async sent(carrier: Gateway, id: string): Promise<void> {
      if (carrier.data_dir !== undefined) await files.taken(carrier.data_dir, id)
    },

    /** Takes away what a plugin left for us in its folder, once it is kept or not wanted. */
    async forget(channel: string, url: string | undefined): Promise<void> {
      if (url !== undefined && isFile(url)) await files.remove(channel, url)
    },

    /** Fetches what came with a message; words in the text where that fails, and those of a voice note. */
    async incoming(row: InboxRow, hear: Hearing): Promise<{ attachment: Attachment | null; text: string }> {
      const { media } = row
      if (!media) return { attachment: row.attachment, text: row.text }
      try {
        const bytes = await bytesAt({ channel: row.channel, url: media.url })
        const caller = channelCaller(row.channel, { id: row.sender_id, name: row.sender_name })
        const upload = await uploads.save(caller, { name: nameOf(media), bytes })
        const type = media.kind === 'voice' ? 'voice' : upload.type
        const heard = await hear({ ...upload, kind: media.kind, channel: row.channel, bytes })
        return { attachment: { ...upload, type }, text: [row.text, heard].filter(Boolean).join('\n') }
      } catch (error) {
        // A full disk has room again some time; the file is worth the wait.
        if (!(error instanceof AppError) || error.code === 'unavailable') throw error
        const note = `[a file (${media.kind}) came with this, but could not be fetched: ${error.message}]`
        return { attachment: null, text: [row.text, note].filter(Boolean).join('\n') }
      }
    },
  }
}

const tooLarge = (limit: number): AppError => new AppError('too_large', `it is larger than ${limit} bytes`)

const EXTENSIONS: Record<string, string> = { image: '.jpg', video: '.mp4', audio: '.mp3', voice: '.ogg' }

/** The last part of its address, else its kind. */
function nameOf({ kind, url }: { kind: string; url: string }): string {
  const usual = `${kind.replace(/\W/g, '').slice(0, 30) || 'file'}${EXTENSIONS[kind] ?? ''}`
  if (/^data:/i.test(url)) return safelyDecoded(/^data:[^,]*?;name=([^;,]{1,500})/i.exec(url)?.[1] ?? usual)
  if (!URL.canParse(url)) return usual
  const last = new URL(url).pathname.split('/').at(-1) ?? ''
  return /\.\w{1,8}$/.test(last) ? safelyDecoded(last) : usual
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const isFile = (url: string): boolean => /^file:/i.test(url)
