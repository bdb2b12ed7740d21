import type { Attachment } from '../../shared/turn-events.ts'
import type { ChannelDeps } from './deps.ts'
import type { RemoteMedia } from './inbox-store.ts'

/** A question waits so long for all its voice notes together. */
const PATIENCE_MS = 60_000
/** Of more, nobody could say that it was spoken into a chat. */
const MAX_CHARACTERS = 20_000
const CALLED: Record<string, string> = { voice: 'voice note', audio: 'audio file' }

/** Says in words what is in a file; nothing for one in which nobody speaks. */
export type Hearing = (
  file: Pick<Attachment, 'filename' | 'mime_type'> & { kind: RemoteMedia['kind']; channel: string; bytes: Uint8Array },
) => Promise<string | undefined>

/** Voice notes as text. `begin` is for one question, which is put also when nobody can write them down. */
export function createVoiceNotes({ transcribe, log, stop }: Pick<ChannelDeps, 'transcribe' | 'log'> & {
  stop: AbortSignal
}) {
  return {
    begin(): Hearing {
      let left = PATIENCE_MS
      return async ({ kind, channel, bytes, filename, mime_type = 'application/octet-stream' }) => {
        const called = Object.hasOwn(CALLED, kind) ? CALLED[kind]! : undefined
        if (called === undefined) return undefined
        const began = performance.now()
        try {
          const signal = AbortSignal.any([AbortSignal.timeout(Math.max(0, left)), stop])
          const words = left > 0 ? await transcribe({ bytes, filename, mime_type }, signal) : undefined
          if (words === undefined) return `[${called}; it could not be transcribed]`
          const said = words.trim().slice(0, MAX_CHARACTERS)
          return said ? `[${called}, transcribed:] ${said}` : `[${called}; nobody speaks in it]`
        } catch (error) {
          // Not for good: the next start asks again.
          stop.throwIfAborted()
          log.warn('channel.not_transcribed', 'A voice note could not be written down', {
            channel,
            error: (error as Error).message,
          })
          return `[${called}; it could not be transcribed]`
        } finally {
          left -= Math.round(performance.now() - began)
        }
      }
    },
  }
}

export type VoiceNotes = ReturnType<typeof createVoiceNotes>
