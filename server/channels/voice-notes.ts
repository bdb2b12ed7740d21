import type { Attachment } from '../../shared/turn-events.ts'
import { AppError } from '../errors.ts'
import type { ChannelDeps } from './deps.ts'
import type { RemoteMedia } from './inbox-store.ts'

/** A question waits so long for all its voice notes together. */
const PATIENCE_MS = 60_000
/** Of more, nobody could say that it was spoken into a chat. */
const MAX_CHARACTERS = 20_000
const CALLED: Record<string, string> = { voice: 'voice note', audio: 'audio file' }

/** Says in words what is in a file; undefined for one of another kind. Throws `unavailable` when the server stops. */
export type Hearing = (
  file: Pick<Attachment, 'filename' | 'mime_type'> & { kind: RemoteMedia['kind']; channel: string; bytes: Uint8Array },
) => Promise<string | undefined>

/** Voice notes as text. `begin` is for one question, which is put also when nobody can write them down. */
export function createVoiceNotes({ transcribe, log, bus }: Pick<ChannelDeps, 'transcribe' | 'log' | 'bus'>) {
  const stop = new AbortController()
  // Before plugins are: whoever writes down must not seem to have failed.
  bus.subscribe(({ type }) => {
    if (type === 'stopping') stop.abort()
  })

  return {
    begin(): Hearing {
      let left = PATIENCE_MS
      return async ({ kind, channel, bytes, filename, mime_type = 'application/octet-stream' }) => {
        const called = Object.hasOwn(CALLED, kind) ? CALLED[kind]! : undefined
        if (called === undefined) return undefined
        const began = performance.now()
        try {
          const signal = AbortSignal.any([AbortSignal.timeout(Math.max(0, left)), stop.signal])
          const words = left > 0 ? await transcribe({ bytes, filename, mime_type }, signal) : undefined
          if (words === undefined) return `[${called}; it could not be transcribed]`
          const said = words.trim().slice(0, MAX_CHARACTERS)
          return said ? `[${called}, transcribed:] ${said}` : `[${called}; nobody speaks in it]`
        } catch (error) {
          // The next start asks again.
          if (stop.signal.aborted) throw new AppError('unavailable', 'The server is stopping')
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
