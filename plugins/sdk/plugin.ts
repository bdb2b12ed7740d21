import process from 'node:process'
import { GATEWAY_PROTOCOL } from '../../shared/gateway-protocol.ts'
import type { ToPlugin } from '../../shared/plugin-protocol.ts'
import { createCapabilities, type Registrar } from './capabilities.ts'
import type { Channel, ChannelApi, ChannelDefinition } from './channel.ts'
import { createCommands } from './commands.ts'
import { describeError } from './errors.ts'
import { createFiles, type Files } from './files.ts'
import { type Link, openLink } from './link.ts'
import { createLog, type Log } from './log.ts'
import { coreState, memoryState, type State } from './state.ts'
import { note, OutputClosed } from './stdio.ts'

/** How long a core may take to send `configure`, before it counts as one that has none. */
const CONFIGURE_MS = 2000
/** Of the 500 ms that the protocol gives, what the plugin's own clean-up may take. */
const STOP_MS = 250

/** Settings that come from variables where the core sends none: the name of each, by the setting. */
export type Environment = { config?: Record<string, string>; secrets?: Record<string, string> }

export type PluginApi = {
  readonly id: string
  /** The plugin's own settings, as the schema of its manifest describes them. */
  readonly config: Record<string, unknown>
  /** Its own secrets, by the name that the manifest gives them. */
  readonly secrets: Record<string, string>
  /** A folder that is its own to write in; null where there is none. */
  readonly dataDir: string | null
  /**
   * Where the routes of this plugin are reached from outside, without a slash at the end; null where the owner has set
   * no public address, or the core has none.
   */
  readonly publicUrl: string | null
  readonly log: Log
  readonly state: State
  /** Aborted when the plugin is to stop. */
  readonly signal: AbortSignal
  /** Ends the plugin for a reason that the owner has to mend, such as a refused token. */
  fail(code: string, message: string): Promise<never>
}

export type PluginDefinition = {
  id: string
  /** Declares tools and other capabilities. */
  register?(api: PluginApi & Registrar): void | Promise<void>
  channel?: Omit<ChannelDefinition, 'id' | 'environment'>
  environment?: Environment
}

/** Runs this process as a plugin; see `README.md` beside this file. */
export function definePlugin(definition: PluginDefinition): void {
  if (process.stdin.isTTY) {
    note(`${definition.id} is a plugin: a server starts it and talks to it over stdin and stdout.`)
    process.exitCode = 2
    return
  }
  run(definition).catch((error: unknown) => {
    if (error instanceof OutputClosed) return process.exit(0)
    note(error)
    process.exit(1)
  })
}

async function run(definition: PluginDefinition): Promise<void> {
  const link = openLink()
  const { send } = link
  const began = performance.now()
  const stopping = new AbortController()
  const records = link.records
  const first = await firstRecord(records)
  const configure = first.record?.type === 'configure' ? first.record : undefined

  const log = createLog(send, () => configure !== undefined)
  const stored = coreState(send)
  const publicUrl = configure?.public_url ?? null
  const capabilities = createCapabilities({ send, log, publicUrl })
  const api: PluginApi = {
    id: definition.id,
    config: configure?.config ?? fromEnvironment(definition.environment?.config),
    secrets: configure?.secrets ?? fromEnvironment(definition.environment?.secrets),
    dataDir: configure?.data_dir ?? null,
    publicUrl,
    log,
    state: configure ? stored : memoryState(),
    signal: stopping.signal,
    async fail(code, message) {
      await send({ type: 'error', code, message, fatal: true })
      await stop(1)
      throw new Error(message)
    },
  }

  const started = Promise.withResolvers<Channel>()
  // A plugin without a channel never has one; nobody waits for it then.
  started.promise.catch(() => {})
  const files = createFiles({ dataDir: api.dataDir, maxBytes: configure?.max_file_bytes })
  const commands = createCommands({ channel: started.promise, limit: definition.channel?.limit, files, send, log })
  let channel: Channel | undefined

  const background = (work: Promise<unknown>): void =>
    void work.catch((error: unknown) => {
      if (error instanceof OutputClosed) return stop(0)
      note(error)
      void stop(1)
    })

  function take(record: ToPlugin): void {
    switch (record.type) {
      case 'ping':
        return background(send({
          type: 'pong',
          request_id: record.request_id,
          uptime_seconds: Math.floor((performance.now() - began) / 1000),
          connected: definition.channel ? channel !== undefined && (channel.connected?.() ?? true) : true,
        }))
      case 'shutdown':
        return void stop(0)
      case 'send_typing':
        return background(commands.typing(record))
      case 'send_message':
      case 'send_media':
      case 'edit_message':
      case 'delete_message':
      case 'answer_callback_query':
      case 'set_reaction':
        if (definition.channel) return background(commands.run(record))
        return background(send({
          type: 'command_error',
          request_id: record.request_id,
          code: 'invalid_request',
          message: `${definition.id} is no channel`,
        }))
      case 'state_ok':
      case 'state_failed':
        return stored.answered(record)
      case 'configure':
        return log.warn('Settings came a second time; they count from the next start')
      default:
        return capabilities.take(record)
    }
  }

  let ending: Promise<void> | undefined
  function stop(code: number): Promise<void> {
    return ending ??= (async () => {
      stopping.abort()
      const clean = Promise.all([
        Promise.resolve().then(() => channel?.stop?.()).catch(note),
        capabilities.stop(),
      ]).then(link.flushed)
      await Promise.race([clean, new Promise((resolve) => setTimeout(resolve, STOP_MS))])
      process.exit(code)
    })()
  }
  process.on('SIGTERM', () => void stop(0))

  if (first.record && !configure) take(first.record)
  const reading = (async () => {
    for await (const record of first.rest()) take(record)
    await stop(0)
  })()

  await definition.register?.({ ...api, ...capabilities.registrar })
  if (definition.channel) {
    const settled = configure ? stored.settled : undefined
    channel = await startChannel(
      definition.channel,
      channelApi({ ...api, httpRoute: capabilities.registrar.httpRoute }, {
        send,
        settled,
        files,
        ready: started.promise,
      }),
    )
  }
  await send(readyOf(definition, channel, api))
  if (channel) started.resolve(channel)
  if (configure) await capabilities.announce()
  await reading
}

/** A start that fails is told to the core and ends the plugin. */
async function startChannel(definition: NonNullable<PluginDefinition['channel']>, api: ChannelApi): Promise<Channel> {
  try {
    return await definition.start(api)
  } catch (error) {
    const { code, message } = describeError(error)
    return await api.fail(code, message)
  }
}

function readyOf({ id, channel: definition }: PluginDefinition, channel: Channel | undefined, api: PluginApi) {
  const verbs = (['edit', 'delete', 'media', 'typing'] as const).filter((verb) => channel?.[verb])
  return {
    type: 'ready' as const,
    gateway: id,
    version: GATEWAY_PROTOCOL,
    capabilities: [
      ...verbs,
      ...(channel?.media && api.dataDir !== null ? ['media_file'] : []),
      ...(channel?.react ? ['reactions'] : []),
      ...definition?.capabilities ?? [],
    ],
    ...(definition?.limit ? { text_limit: definition.limit.max, text_unit: definition.limit.unit } : {}),
  }
}

function channelApi(
  api: PluginApi & Pick<Registrar, 'httpRoute'>,
  { send, settled, files, ready }: {
    send: Link['send']
    /** Undefined under a core that only speaks the Gateway Protocol. */
    settled: (() => Promise<void>) | undefined
    files: Files
    /** Resolves when the core was told that we are ready. */
    ready: Promise<unknown>
  },
): ChannelApi {
  let last: Promise<void> = Promise.resolve()
  const tell = (record: Parameters<Link['send']>[0]): Promise<void> => last = send(record)
  return {
    ...api,
    received: ({ routing, ...message }) => {
      const { chat_type, channel = api.id, ...extras } = routing
      const given = Object.entries(extras).filter((entry): entry is [string, string] => entry[1] !== undefined)
      return tell({
        type: 'message_received',
        ...message,
        routing: {
          ...Object.fromEntries(given),
          channel,
          chat_type,
          chat_id: message.chat_id,
          sender_id: message.sender.id,
        },
      })
    },
    file: files.put,
    maxFileBytes: files.max,
    pressed: (callback) => tell({ type: 'callback_query', ...callback }),
    settled: settled ?? (() => last),
    status(connected, { identity, detail } = {}) {
      const given = { ...(identity ? { identity } : {}), ...(detail ? { detail } : {}) }
      if (settled) ready.then(() => tell({ type: 'status', connected, ...given })).catch(note)
      else api.log.info(connected ? `connected${identity ? ` as ${identity}` : ''}` : 'not connected', given)
    },
    problem: (code, message) => tell({ type: 'error', code, message }),
    authRequired: (method) => tell({ type: 'auth_required', method }),
    authSuccess: () => tell({ type: 'auth_success' }),
  }
}

/** The first record if it comes in time, and an iteration over those after it. */
async function firstRecord(records: AsyncGenerator<ToPlugin>) {
  const next = records.next()
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), CONFIGURE_MS)))
  const result = await Promise.race([next, late])
  clearTimeout(timer)
  return {
    record: result?.done ? undefined : result?.value,
    async *rest(): AsyncGenerator<ToPlugin> {
      if (!result) {
        const late = await next
        if (late.done) return
        yield late.value
      }
      yield* records
    },
  }
}

/** What is set of these variables. A runtime that grants none of them refuses to read any. */
function fromEnvironment(names: Record<string, string> = {}): Record<string, string> {
  const entries = Object.entries(names).flatMap(([setting, variable]): [string, string][] => {
    try {
      const value = process.env[variable]
      return value ? [[setting, value]] : []
    } catch {
      return []
    }
  })
  return Object.fromEntries(entries)
}
