import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GatewayHost } from '../../server/channels/deps.ts'
import type { ModelRequest } from '../../server/models/provider.ts'
import { type Answer, scripted } from '../../server/models/providers/scripted.ts'
import { type TestApp, testApp } from './app.ts'
import { type ChatPlatform, chatPlatform, hostOf, until } from './chat-platform.ts'

export type Options = {
  /** `channels` of the configuration. */
  channels?: Record<string, unknown>
  answers?: Answer[]
  platforms?: ChatPlatform[]
  /** In the place of one that always carries them. */
  host?: GatewayHost
  piece_ms?: number
  env?: Record<string, string>
  /** Fills the home before the server starts on it. */
  prepare?: (home: string) => Promise<unknown>
}

const open: TestApp[] = []

/** For `afterEach`: ends the servers that a test began. */
export async function closeAll(): Promise<void> {
  for (const app of open.splice(0)) await app.close()
}

/** One more that `closeAll` ends. */
export function opened(app: TestApp): TestApp {
  open.push(app)
  return app
}

/** One that the test ended itself, and whose home it goes on with. */
export const forget = (): void => void open.splice(0)

/** Repeats what it was told. */
export const echo = (): Answer[] => Array.from({ length: 100 }, () => (request) => lastText([request]))

/** A server whose channel "telegram" is open to person 42 and does not wait for more messages. */
export async function begin(options: Options = {}) {
  const home = await mkdtemp(join(tmpdir(), 'gatehouse-channels-'))
  const channels = options.channels ?? { telegram: { allowed_users: ['42'], burst_ms: 0 } }
  await writeFile(join(home, 'gatehouse.yaml'), JSON.stringify({ channels }))
  await options.prepare?.(home)
  const platforms = options.platforms ?? [chatPlatform()]
  const model = scripted(options.answers ?? echo(), { piece_ms: options.piece_ms ?? 0 })
  const app = opened(
    await testApp({
      home,
      model,
      gateways: options.host ?? hostOf(...platforms),
      ...(options.env ? { env: options.env } : {}),
    }),
  )
  return { app, home, model, chat: platforms[0]!, platforms }
}

/** What the model was told last. */
export const lastText = (requests: ModelRequest[]): string => {
  const content = requests.at(-1)!.messages.at(-1)!.content
  return typeof content === 'string' ? content : content.map((part) => part.type === 'text' ? part.text : '').join('')
}

/** Waits until so many messages were shown in a chat. */
export const answered = (chat: ChatPlatform, count: number, where = '42') =>
  until(() => chat.texts(where), (texts) => texts.length >= count)
