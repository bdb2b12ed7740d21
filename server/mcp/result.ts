import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'
import type { ToolOutput } from '../tools/tool.ts'

/** Keeps a picture or a sound of a result where the conversation can show it; undefined when it can't be kept. */
export type KeepFile = (file: { name: string; bytes: Uint8Array }) => Promise<string | undefined>

const MAX_FILES = 10
const EXTENSIONS: Record<string, string> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/gif': 'gif',
  'image/webp': 'webp',
  'audio/wav': 'wav',
  'audio/mpeg': 'mp3',
  'audio/ogg': 'ogg',
  'application/pdf': 'pdf',
}

/** What a server answered, as text for the model: texts as they are, files kept and named, links written out. */
export async function resultText(result: CallToolResult, keep: KeepFile): Promise<ToolOutput> {
  const parts: string[] = []
  let files = 0
  const file = async (what: string, name: string, mime: string, base64: string): Promise<string> => {
    const bytes = Uint8Array.from(Buffer.from(base64, 'base64'))
    const path = ++files <= MAX_FILES && bytes.length > 0 ? await keep({ name, bytes }) : undefined
    const size = `${mime}, ${bytes.length} bytes`
    return path
      ? `[${what} (${size}) kept as ${path}; to show it, write [${markerOf(mime)}:${path}]]`
      : `[${what}: ${size}]`
  }
  for (const block of result.content ?? []) {
    if (block.type === 'text') parts.push(block.text)
    else if (block.type === 'image' || block.type === 'audio') {
      parts.push(
        await file(block.type, `${block.type}.${EXTENSIONS[block.mimeType] ?? 'bin'}`, block.mimeType, block.data),
      )
    } else if (block.type === 'resource_link') {
      parts.push(`[resource ${block.name}: ${block.uri}${block.description ? ` - ${block.description}` : ''}]`)
    } else if (block.type === 'resource') {
      const { resource } = block
      const mime = resource.mimeType ?? 'application/octet-stream'
      if ('text' in resource) parts.push(`[resource ${resource.uri}]\n${resource.text}`)
      else parts.push(await file(`resource ${resource.uri}`, nameOf(resource.uri, mime), mime, resource.blob))
    }
  }
  // Servers repeat their structure as text; it only counts where they did not.
  if (parts.length === 0 && result.structuredContent) parts.push(JSON.stringify(result.structuredContent))
  return {
    ok: result.isError !== true,
    text: parts.join('\n\n') || (result.isError ? 'It failed without a word.' : '(nothing)'),
  }
}

const markerOf = (mime: string): string =>
  mime.startsWith('image/')
    ? 'IMAGE'
    : mime.startsWith('audio/')
    ? 'VOICE'
    : mime.startsWith('video/')
    ? 'VIDEO'
    : 'FILE'

function nameOf(uri: string, mime: string): string {
  const last = uri.split(/[/?#]/).findLast((part) => part !== '') ?? 'resource'
  return /\.\w{1,8}$/.test(last) ? last : `${last}.${EXTENSIONS[mime] ?? 'bin'}`
}
