import { Api } from 'grammy/web'
import { sentOnce } from '../sdk/once.ts'

/** grammY's type of a signal is another library's, which the web build does not use. */
export type Signal = NonNullable<Parameters<Api['getMe']>[0]>

const TIMEOUT_SECONDS = 60
/** Addresses of what people would see twice. */
const SENDS = /\/send\w+$/

export type Bot = ReturnType<typeof createBot>

/** The Bot API of one token. */
export function createBot({ token, root, signal }: { token: string; root: string; signal: AbortSignal }) {
  const api = new Api(token, {
    apiRoot: root,
    timeoutSeconds: TIMEOUT_SECONDS,
    fetch: ((url: string, init: RequestInit) => fetch(url, SENDS.test(url) ? sentOnce(init) : init)) as typeof fetch,
  })
  return {
    api,
    /** Ends with the plugin. */
    signal: signal as Signal,

    /** A file that was sent to the bot. */
    async file(id: string): Promise<Response> {
      const { file_path } = await api.getFile(id, signal as Signal)
      return await fetch(`${root}/file/bot${token}/${file_path}`, { signal })
    },
  }
}
