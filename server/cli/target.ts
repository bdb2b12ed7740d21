import type { Environment } from '../config/environment.ts'
import { usage } from './exit-codes.ts'
import { readRunFile } from './run-file.ts'

/** The server that a command talks to. */
export type Target = {
  /** Without a slash at the end. */
  url: string
  token: string | undefined
  /** Whether it is the server that runs on the home folder. */
  local: boolean
}

const DEFAULT_PORT = '8765'

/**
 * `--server`, `GATEHOUSE_URL`, the server that runs on the home, the default address: the first that is there. The
 * key that a local server left in its home goes to no other address than that server's own.
 */
export async function findTarget(
  { env, home, server, token }: { env: Environment; home: string; server?: string; token?: string },
): Promise<Target> {
  const named = server ?? env.GATEHOUSE_URL
  const running = await readRunFile(home)
  const given = token ?? env.GATEHOUSE_TOKEN
  if (named) {
    const url = addressOf(named)
    const local = running?.url === url
    return { url, token: given ?? (local ? running.token : undefined), local }
  }
  if (running) return { url: running.url, token: given ?? running.token, local: true }
  return { url: `http://127.0.0.1:${env.PORT || DEFAULT_PORT}`, token: given, local: false }
}

function addressOf(text: string): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`)
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw usage(`--server: "${text}" is no address such as https://example.org`)
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}
