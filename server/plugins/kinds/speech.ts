import { Buffer } from 'node:buffer'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { ulid } from 'ulid'
import * as v from 'valibot'
import { SpeechDefinition, type TranscribeInput, TranscribeResult } from '../../../shared/plugin-protocol.ts'
import { GatewayError } from '../gateway.ts'
import { defineKind } from './kind.ts'

/** Bytes that, as base64 and with what is around them, fit in a line. */
const INLINE = 600 * 1024
const FOLDER = 'recordings'
/** Names that are given here. */
const OURS = /^[0-9A-HJKMNP-TV-Z]{26}(\.\w{1,8})?$/
/** Longer than any call takes. */
const STALE_MS = 24 * 3600_000

/** Something that was said, to be written down. */
export type Recording = { bytes: Uint8Array; mime_type: string; filename: string }

/** Writes down what was said; empty where that is nothing. Rejects with `GatewayError`. */
export type Transcriber = { transcribe(recording: Recording, signal: AbortSignal): Promise<string> }

/** Speech that becomes text. */
export const speech = defineKind({
  definition: SpeechDefinition,
  create({ call, dataDir, timeoutMs }): Transcriber {
    async function ask(input: TranscribeInput, signal: AbortSignal): Promise<string> {
      const output = await call({ method: 'transcribe', input, timeoutMs: timeoutMs(), signal })
      const parsed = v.safeParse(TranscribeResult, output)
      if (!parsed.success) throw new GatewayError('invalid_answer', 'its answer holds no text')
      return parsed.output.text
    }

    return {
      async transcribe({ bytes, mime_type: mime, filename }, signal) {
        if (bytes.length <= INLINE) {
          return await ask({ mime, filename, data: Buffer.from(bytes).toString('base64') }, signal)
        }
        const data = dataDir()
        if (data === undefined) throw new GatewayError('too_large', 'it has no folder to be passed so large a file in')
        const folder = join(data, FOLDER)
        // Not by the name that somebody gave it, which may be any.
        const path = join(folder, `${ulid()}${/^\.\w{1,8}$/.exec(extname(filename))?.[0] ?? ''}`)
        await mkdir(folder, { recursive: true, mode: 0o700 })
        await tidy(folder)
        try {
          await writeFile(path, bytes, { flag: 'wx', mode: 0o600 })
          return await ask({ mime, filename, path }, signal)
        } finally {
          await rm(path, { force: true })
        }
      },
    }
  },
})

/** Takes away what a kill of the server left behind. */
async function tidy(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!OURS.test(name)) continue
    const path = join(folder, name)
    const info = await stat(path).catch(() => undefined)
    if (info && Date.now() - info.mtimeMs > STALE_MS) await rm(path, { force: true })
  }
}
