import assert from 'node:assert/strict'
import type { Probe } from '../../server/plugins/conformance/probe.ts'
import { startPlugin } from './channel-plugin.ts'
import { startSlack } from '../../plugins/slack/slack-server.ts'

export const BOT = 'xoxb-of-the-tests'
export const APP = 'xapp-of-the-tests'
export const ROOM = 'C0ROOM'
export const DIRECT = 'D0ADA'
export const SECRETS = { bot_token: BOT, app_token: APP }

type Answer = Awaited<ReturnType<Probe['ask']>>

/** Slack with a channel, a direct chat and two people, and the plugin at it. */
export async function startBench() {
  const slack = await startSlack({ bot: BOT, app: APP, retryMs: 300 })
  slack.channel(ROOM)
  slack.channel(DIRECT)
  slack.channel('C0CLOSED', { member: false })
  slack.user('U0ADA', 'ada', 'Ada L')
  slack.user('U0BOB', 'bob', 'Bob')
  const settings = (config: object = {}) => ({ config: { api_root: `${slack.url}/api`, ...config }, secrets: SECRETS })
  let probe: Probe | undefined

  async function launch(more: Parameters<typeof startPlugin>[1] = {}): Promise<Probe> {
    return probe = await startPlugin('slack', { ...settings(), ...more })
  }

  return {
    slack,
    settings,
    launch,
    /** Started, and hearing. */
    async start(more: Parameters<typeof startPlugin>[1] = {}): Promise<Probe> {
      const plugin = await launch(more)
      assert.ok(await plugin.event('status', ({ connected }) => connected, 20_000), plugin.stderr())
      return plugin
    },
    async end(): Promise<void> {
      await probe?.kill()
      probe = undefined
      slack.prepared.length = 0
      await slack.until(() => slack.open() === 0 || undefined, 'the end of all connections')
    },
  }
}

export const send = (request_id: string, chat_id: string, content: string, more: object = {}) => ({
  type: 'send_message',
  request_id,
  chat_id,
  content,
  ...more,
})

export const said = (plugin: Probe, text: string, from = 0) =>
  plugin.event('message_received', ({ content }) => content.type === 'text' && content.text === text, 20_000, from)

/** Texts that the core was told of, in order. */
export const textsOf = (plugin: Probe, chat: string): string[] =>
  plugin.events.flatMap((event) =>
    event.type === 'message_received' && event.content.type === 'text' && event.chat_id === chat
      ? [event.content.text]
      : []
  )

export const idOf = (answer: Answer): string =>
  answer?.type === 'command_ok' ? answer.message_id ?? '' : JSON.stringify(answer)

export const codeOf = (answer: Answer) => answer?.type === 'command_error' ? answer.code : answer
