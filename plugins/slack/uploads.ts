import { setTimeout as sleep } from 'node:timers/promises'
import type { ChannelApi } from '../sdk/channel.ts'
import type { SlackApi } from './api.ts'
import { SlackRefusal } from './refusal.ts'

/** Uploads that may have been shared without our hearing of it. */
const REMEMBERED = 50
/** Slack shares a file a moment after it said yes. */
const LOOKS_MS = [100, 300, 600, 1000, 2000]

type Share = { ts: string; thread_ts?: string }
type Shares = Partial<Record<'public' | 'private', Record<string, Share[]>>>

type Upload = {
  chat: string
  thread: string | undefined
  request: string
  bytes: Uint8Array
  name: string
  comment: string | undefined
}

/** Files into channels. Their ids are kept, so that a file whose sharing ended in the dark is not shared twice. */
export async function createUploads({ channel: { state, log, signal }, api }: {
  channel: Pick<ChannelApi, 'state' | 'log' | 'signal'>
  api: SlackApi
}) {
  const uploaded = new Map(await state.get<[string, string][]>('uploads'))
  const keep = (): Promise<void> => state.set('uploads', [...uploaded])

  /** The message that shows a file in a channel. */
  async function shownAt(file: string, chat: string): Promise<string | undefined> {
    const { file: { shares = {} } } = await api.call<{ file: { shares?: Shares } }>('files.info', { file })
    return (shares.private?.[chat] ?? shares.public?.[chat])?.[0]?.ts
  }

  async function waitUntilShown(file: string, chat: string): Promise<string | undefined> {
    for (const wait of LOOKS_MS) {
      await sleep(wait, undefined, { signal })
      try {
        const ts = await shownAt(file, chat)
        if (ts) return ts
      } catch (error) {
        log.debug(`Where a file is shown could not be asked: ${(error as Error).message}`)
        return undefined
      }
    }
    return undefined
  }

  async function reserve({ request, bytes, name }: Upload): Promise<string> {
    const { upload_url, file_id } = await api.call<{ upload_url: string; file_id: string }>(
      'files.getUploadURLExternal',
      { filename: name, length: bytes.length },
    )
    await api.upload(upload_url, bytes)
    uploaded.set(request, file_id)
    if (uploaded.size > REMEMBERED) uploaded.delete(uploaded.keys().next().value!)
    await keep()
    return file_id
  }

  return {
    /** Answers with the message that shows the file, if Slack tells it in time. */
    async put(upload: Upload): Promise<string | undefined> {
      const { chat, thread, request, name, comment } = upload
      const before = uploaded.get(request)
      const shown = before && await shownAt(before, chat).catch((error: unknown) => {
        if (!(error instanceof SlackRefusal) || error.error !== 'file_not_found') throw error
        uploaded.delete(request)
        return undefined
      })
      const file = uploaded.get(request) ?? await reserve(upload)
      if (!shown) {
        const share = {
          files: [{ id: file, title: name }],
          channel_id: chat,
          thread_ts: thread,
          initial_comment: comment,
        }
        await api.call('files.completeUploadExternal', share, { once: true })
      }
      const ts = shown ?? await waitUntilShown(file, chat)
      uploaded.delete(request)
      await keep()
      return ts
    },
  }
}
