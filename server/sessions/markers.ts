import type { Attachment } from '../../shared/turn-events.ts'

/** The file behind a marker when it lies in a folder that may be served, else undefined. */
export type ResolveMarker = (path: string) => Promise<{ path: string; filename: string; size: number } | undefined>

const MARKER = /\[(IMAGE|FILE|VOICE|VIDEO):([^\]\n]{1,4096})\]/g

/**
 * Takes `[IMAGE:/path]` and its like out of a reply (spec openagent-api §1.11). A marker whose file may not be
 * served stays as text, so that the reader sees what the model tried.
 */
export async function extractMarkers(
  text: string,
  resolve: ResolveMarker,
): Promise<{ text: string; attachments: Attachment[] }> {
  if (!text.includes('[')) return { text, attachments: [] }
  const attachments: Attachment[] = []
  let out = ''
  let at = 0
  for (const match of text.matchAll(MARKER)) {
    const file = await resolve(match[2]!.trim())
    if (!file) continue
    attachments.push({ type: match[1]!.toLowerCase() as Attachment['type'], ...file })
    out += text.slice(at, match.index)
    at = match.index + match[0].length
  }
  if (attachments.length === 0) return { text, attachments }
  return { text: (out + text.slice(at)).replace(/\n{3,}/g, '\n\n').trim(), attachments }
}
