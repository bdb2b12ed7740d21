import type { ModelInfo } from '../provider.ts'

/** What a model is for, guessed from its name where the provider does not say. */
export function guessKind(id: string): NonNullable<ModelInfo['kind']> {
  const name = id.toLowerCase()
  if (/whisper|transcribe|speech-to-text|\bstt\b|nova-\d|scribe/.test(name)) return 'stt'
  if (/(^|[-_/.:])tts([-_/.:\d]|$)|text-to-speech|speech-\d|eleven_/.test(name)) return 'tts'
  if (/embed|(^|[-/])(bge|e5|gte|minilm)-/.test(name)) return 'embedding'
  return 'llm'
}

/** Names of things that are listed among chat models and can't chat. */
const NO_CHAT =
  /image|dall-e|moderation|realtime|audio|sora|veo|imagen|rerank|davinci|babbage|search-api|guard|ocr|computer-use/i

/** Whether a model is one to talk to. */
export const canChat = (model: ModelInfo): boolean =>
  (model.kind ?? guessKind(model.id)) === 'llm' && !NO_CHAT.test(model.id)
