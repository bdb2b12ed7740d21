import { extname } from 'node:path'
import type { ChannelSettings } from '../../shared/channels.ts'
import type { MediaPayload } from '../../shared/gateway-protocol.ts'
import type { Attachment } from '../../shared/turn-events.ts'
import { AppError } from '../errors.ts'
import type { Gateway } from '../plugins/gateway.ts'
import { channelCaller, type ChannelDeps, CHANNELS } from './deps.ts'
import type { InboxRow } from './inbox-store.ts'

const FETCH_MS = 60_000
/** Never handed to people, whatever the agent thinks of it (spec openagent-api §1.11). */
const PROGRAMS = new Set(
  '.exe .bat .cmd .com .msi .scr .pif .vbs .vbe .jse .ws .wsf .wsh .ps1 .hta .cpl .lnk .reg .jar'.split(' '),
)

/** The file as a command carries it, or words in its place. */
export type MediaOut = (carrier: Gateway, channel: string, attachment: Attachment) => Promise<MediaPayload | string>

/** Files in both directions, within the channel's limit. */
export function createMedia(
  deps: Pick<ChannelDeps, 'uploads' | 'outbound'> & { settings: (name: string) => ChannelSettings },
) {
  const { uploads, outbound, settings } = deps

  /** Only what the network guard lets through, or what stands in the address itself; never a path of this machine. */
  async function bytesAt(url: string, limit: number): Promise<Uint8Array> {
    const inline = /^data:[^,]*?(;base64)?,/i.exec(url)
    if (inline) {
      const data = url.slice(inline[0].length)
      const bytes = inline[1] ? Buffer.from(data, 'base64') : Buffer.from(decodeURIComponent(data))
      if (bytes.length > limit) throw tooLarge(limit)
      return bytes
    }
    if (!/^https?:/i.test(url)) throw new AppError('invalid_input', 'its address is neither http(s): nor data:')
    const response = await outbound.fetch(url, { maxBytes: limit, timeoutMs: FETCH_MS })
    if (!response.ok) {
      await response.body?.cancel()
      throw new AppError('bad_gateway', `its server answered ${response.status}`)
    }
    return new Uint8Array(await response.arrayBuffer())
  }

  const outgoing: MediaOut = async (carrier, channel, attachment) => {
    const { filename } = attachment
    if (PROGRAMS.has(extname(filename).toLowerCase())) return `📎 ${filename} (programs are not sent)`
    if (!carrier.ready?.capabilities.includes('media')) return `📎 ${filename} (this channel takes no files)`
    if ((attachment.size ?? 0) > settings(channel).max_media_bytes) return `📎 ${filename} (too large for this channel)`
    const { bytes, mime_type } = await uploads.read(CHANNELS, attachment.path)
    return { source: 'base64', data: Buffer.from(bytes).toString('base64'), mime_type, filename }
  }

  return {
    outgoing,

    /** Fetches what came with a message; words in the text where that fails. */
    async incoming(row: InboxRow): Promise<{ attachment: Attachment | null; text: string }> {
      const { media } = row
      if (!media) return { attachment: row.attachment, text: row.text }
      try {
        const bytes = await bytesAt(media.url, settings(row.channel).max_media_bytes)
        const caller = channelCaller(row.channel, { id: row.sender_id, name: row.sender_name })
        const upload = await uploads.save(caller, { name: nameOf(media), bytes })
        const type = media.kind === 'voice' ? 'voice' : upload.type
        return { attachment: { ...upload, type }, text: row.text }
      } catch (error) {
        if (!(error instanceof AppError)) throw error
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
  if (/^data:/i.test(url) || !URL.canParse(url)) return usual
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
