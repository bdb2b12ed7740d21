import type { TokenUsage } from '../../../shared/turn-events.ts'
import { AppError } from '../../errors.ts'
import type { AudioFile, ProviderSettings } from '../provider.ts'
import { askJson } from './upstream.ts'

/** Endpoints tell formats by the name, and know fewer endings than phones use. */
const ENDINGS: Record<string, string> = {
  'audio/ogg': 'ogg',
  'audio/opus': 'ogg',
  'audio/mpeg': 'mp3',
  'audio/mp4': 'm4a',
  'audio/x-m4a': 'm4a',
  'audio/wav': 'wav',
  'audio/x-wav': 'wav',
  'audio/webm': 'webm',
  'video/webm': 'webm',
  'video/mp4': 'mp4',
  'audio/flac': 'flac',
}

/** Asks `audio/transcriptions` below `base`, as OpenAI, Groq, Mistral, vLLM and whisper.cpp have it. */
export async function transcribeAt(
  { base, headers, settings }: { base: string; headers: Record<string, string>; settings: ProviderSettings },
  model: string,
  { bytes, filename, mime_type }: AudioFile,
  signal: AbortSignal,
): Promise<{ text: string; usage: TokenUsage | null }> {
  const { host } = new URL(base)
  const ending = ENDINGS[mime_type]
  const form = new FormData()
  form.set('model', model)
  form.set(
    'file',
    new Blob([new Uint8Array(bytes)], { type: mime_type }),
    ending === undefined ? filename : `recording.${ending}`,
  )
  const packed = new Response(form)
  const answer = await askJson(host, settings, `${base}/audio/transcriptions`, {
    method: 'POST',
    headers: { ...headers, 'content-type': packed.headers.get('content-type')! },
    body: new Uint8Array(await packed.arrayBuffer()),
  }, signal)
  const { text, usage } = (answer ?? {}) as { text?: unknown; usage?: unknown }
  if (typeof text !== 'string') throw new AppError('bad_gateway', `${host} answered with no text for a recording.`)
  return { text, usage: tokensOf(usage) }
}

/** Null where an endpoint counts none: some bill by the second. */
function tokensOf(usage: unknown): TokenUsage | null {
  const { input_tokens, output_tokens } = (usage ?? {}) as Record<string, unknown>
  return isCount(input_tokens) && isCount(output_tokens) ? { input_tokens, output_tokens } : null
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
