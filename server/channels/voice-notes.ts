import type { Attachment } from '../../shared/turn-events.ts'
import { AppError } from '../errors.ts'
import type { Transcript, TranscriptCall } from '../models/service.ts'
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
    /** `spent` hears of each model call; what it throws ends the hearing. */
    begin(spent: (call: TranscriptCall) => Promise<void>): Hearing {
      let left = PATIENCE_MS

      async function written(file: Parameters<Hearing>[0]): Promise<Transcript | undefined> {
        if (left <= 0) return undefined
        const { channel, bytes, filename, mime_type = 'application/octet-stream' } = file
        const began = performance.now()
        try {
          const signal = AbortSignal.any([AbortSignal.timeout(left), stop.signal])
          return await transcribe({ bytes, filename, mime_type }, signal)
        } catch (error) {
          // The next start asks again.
          if (stop.signal.aborted) throw new AppError('unavailable', 'The server is stopping')
          log.warn('channel.not_transcribed', 'A voice note could not be written down', {
            channel,
            error: (error as Error).message,
          })
          return undefined
        } finally {
          left -= Math.round(performance.now() - began)
        }
      }

      return async (file) => {
        const called = Object.hasOwn(CALLED, file.kind) ? CALLED[file.kind]! : undefined
        if (called === undefined) return undefined
        const transcript = await written(file)
        if (!transcript) return `[${called}; it could not be transcribed]`
        if (transcript.call) await spent(transcript.call)
        const said = transcript.text.trim().slice(0, MAX_CHARACTERS)
        return said ? `[${called}, transcribed:] ${said}` : `[${called}; nobody speaks in it]`
      }
    },
  }
}
