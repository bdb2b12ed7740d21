import { copyFile, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import type { Gateway, GatewayNews } from '../../../server/plugins/service.ts'
import type { Plugin, PluginDetail } from '../../../shared/plugins.ts'
import { testApp } from '../app.ts'

/** Programs of the tests in this folder. */
export const program = (name: string): string => join(import.meta.dirname, name)

/** A home whose `gatehouse.yaml` says this; JSON is YAML. */
export async function homeWith(config: Record<string, unknown>): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'gatehouse-plugins-'))
  await writeFile(join(home, 'gatehouse.yaml'), JSON.stringify(config))
  return home
}

/** The settings of `channels.<name>` for a Node program of this folder. */
export const channel = (file: string, ...args: string[]) => ({ command: 'node', args: [program(file), ...args] })

/** Limits that make tests quick. */
export const QUICK = {
  ready_timeout_seconds: 10,
  ping_seconds: 0.2,
  pong_timeout_seconds: 1,
  restart_delay_ms: 20,
  stable_seconds: 30,
  sample_seconds: 0.2,
  hold_seconds: 1,
}

/** The app with these channels, and what their gateways said. */
export async function hosted(
  channels: Record<string, unknown>,
  plugins: Record<string, unknown> = {},
  earlier?: string,
) {
  const home = earlier ?? await homeWith({ channels, plugins: { ...QUICK, ...plugins } })
  const heard: { gateway: string; event: GatewayNews }[] = []
  let before: (event: GatewayNews) => Promise<void> = async () => {}
  const app = await testApp({ home, env: { PATH: process.env.PATH! } })
  app.plugins.onGatewayEvent(async (gateway, event) => {
    await before(event)
    heard.push({ gateway: gateway.name, event })
  })

  const gateway = (name: string): Gateway => {
    const found = app.plugins.gateways().find((candidate) => candidate.name === name)
    if (!found) throw new Error(`there is no gateway ${name}`)
    return found
  }
  let asked = 0

  return {
    ...app,
    heard,
    gateway,
    /** Runs before each event is taken. */
    hold: (work: (event: GatewayNews) => Promise<void>) => void (before = work),
    /** A gateway that is ready. */
    ready: (name: string): Promise<Gateway> =>
      until(() => app.plugins.gateways().some((one) => one.name === name && one.state === 'ready') && gateway(name)),
    /** Tells a gateway of the tests what to do. */
    order: (name: string, content: string, more: { timeout_ms?: number; request_id?: string } = {}) =>
      gateway(name).command({ type: 'send_message', chat_id: '1', content }, {
        request_id: more.request_id ?? `request-${++asked}`,
        timeout_ms: more.timeout_ms ?? 10_000,
      }),
    texts: (name: string): string[] =>
      heard.flatMap(({ gateway, event }) =>
        gateway === name && event.type === 'message_received' && event.content.type === 'text'
          ? [event.content.text]
          : []
      ),
    plugin: async (name: string): Promise<PluginDetail> =>
      (await app.json<{ plugin: PluginDetail }>(`/api/plugins/${name}`)).plugin,
    list: async (): Promise<Plugin[]> => (await app.json<{ plugins: Plugin[] }>('/api/plugins')).plugins,
  }
}

/** Waits until `look` gives something; fails after half a minute. */
export async function until<T>(
  look: () => T | Promise<T>,
  what = 'what was waited for',
  ms = 30_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const end = Date.now() + ms
  for (;;) {
    const value = await look()
    if (value) return value as NonNullable<Exclude<T, false>>
    if (Date.now() > end) throw new Error(`${what} did not happen within ${ms / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Writes a plugin folder with the capable program of this folder, and its manifest with these changes. */
export async function writePlugin(folder: string, manifest: Record<string, unknown> = {}): Promise<string> {
  await mkdir(folder, { recursive: true })
  await copyFile(program('capable.mjs'), join(folder, 'main.mjs'))
  const tools = (manifest.tools ?? ['add', 'cancelled', 'counts', 'fails', 'floods', 'secret', 'slow', 'streams']) as (
    | string
    | object
  )[]
  await writeFile(
    join(folder, 'plugin.json'),
    JSON.stringify({
      id: 'capable',
      name: 'Capable',
      version: '1.0.0',
      entry: 'main.mjs',
      runtime: 'node',
      config_schema: {
        type: 'object',
        properties: {
          tools: {
            type: 'array',
            items: { type: 'string' },
            default: tools.filter((tool) => typeof tool === 'string'),
          },
          kinds: { type: 'array', items: { type: 'string' } },
          room: { type: 'integer', minimum: 1 },
        },
        additionalProperties: false,
      },
      ...manifest,
      tools: tools.map((tool) => typeof tool === 'string' ? { name: tool, effect: 'read' } : tool),
    }),
  )
  return folder
}
