import * as v from 'valibot'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import {
  type CapabilityEvent,
  type CapabilityKind,
  CommandDefinition,
  ServiceDefinition,
  ToolDefinition,
  type ToPlugin,
  WebSearchDefinition,
} from '../../shared/plugin-protocol.ts'
import type { PluginCapability } from '../../shared/plugins.ts'
import type { Tool } from '../tools/tool.ts'
import { pluginTool, searchTool, textOf } from './tools.ts'

const MAX_REGISTERED = 200
const EFFECTS = ['read', 'write', 'execute'] as const
const SERVICE_START_MS = 30_000

const DEFINITIONS = {
  tool: ToolDefinition,
  command: CommandDefinition,
  service: ServiceDefinition,
  web_search: WebSearchDefinition,
}
type Used = keyof typeof DEFINITIONS

/** Asks the plugin to do one thing; rejects with `GatewayError`. */
export type CallPlugin = (request: {
  handle: string
  method: string
  input: unknown
  timeoutMs: number
  signal?: AbortSignal | undefined
  context?: Record<string, string>
  onChunk?: (data: unknown) => void
}) => Promise<unknown>

/** The same with the handle filled in. */
export type CallHandle = (request: Omit<Parameters<CallPlugin>[0], 'handle'>) => Promise<unknown>

/** `/name` in a chat that a plugin answers without the model. */
export type PluginCommand = {
  plugin: string
  name: string
  description: string
  /**
   * `args` is the text after the name; `context` says where, as `session_id`, `channel`, `sender_id`. Rejects with
   * `GatewayError`.
   */
  run(args: string, context: Record<string, string>): Promise<string>
}

type Registered = PluginCapability & { kind: Used; tool?: Tool; command?: PluginCommand }

export type Capabilities = ReturnType<typeof createCapabilities>

/** What one process registered. Only what its manifest declares, and the owner so accepted, is taken. */
export function createCapabilities(deps: {
  /** Begins the tools' names. */
  name: string
  manifest: () => Manifest | undefined
  post: (message: ToPlugin) => void
  call: CallPlugin
  callTimeoutMs: () => number
  onChange: () => void
  onProblem: (message: string) => void
}) {
  const { post } = deps
  const registered = new Map<string, Registered>()

  function refuse(handle: string, code: string, message: string): void {
    post({ type: 'register_failed', handle, code, message })
    deps.onProblem(`"${handle}" was not registered: ${message}`)
  }

  function register({ handle, kind, definition }: Extract<CapabilityEvent, { type: 'register' }>): void {
    const manifest = deps.manifest()
    if (!manifest || manifest.protocol !== 'gatehouse.v1') {
      return refuse(handle, 'undeclared', 'only a plugin whose manifest says gatehouse.v1 may register')
    }
    if (!isUsed(kind)) return refuse(handle, 'unsupported', `${kind} is not used by this server yet`)
    if (registered.has(handle)) return refuse(handle, 'conflict', 'this handle is taken')
    if (registered.size >= MAX_REGISTERED) return refuse(handle, 'too_many', `there are ${MAX_REGISTERED} already`)
    const parsed = v.safeParse(DEFINITIONS[kind], definition, { abortEarly: true })
    if (!parsed.success) {
      const issue = parsed.issues[0]
      const field = issue.path?.map((step) => String(step.key)).join('.') ?? 'definition'
      return refuse(handle, 'invalid', `${field}: ${issue.message}`)
    }
    const known = parsed.output as ToolDefinition & CommandDefinition & WebSearchDefinition // By `kind`.
    const declared = manifest.tools.find(({ name }) => name === known.name)
    if (kind === 'tool' ? !declared : !manifest.capabilities.includes(kind)) {
      return refuse(handle, 'undeclared', `the manifest does not declare the ${kind} ${known.name}`)
    }
    if ([...registered.values()].some((other) => other.kind === kind && other.name === known.name)) {
      return refuse(handle, 'conflict', `there is a ${kind} ${known.name} already`)
    }
    const entry: Registered = { handle, kind, name: known.name, description: known.description ?? known.label ?? '' }
    const call: CallHandle = (request) => deps.call({ ...request, handle })
    if (kind === 'tool') {
      // The owner accepted the manifest's word; the plugin's own can only raise it.
      const effect = EFFECTS[Math.max(EFFECTS.indexOf(declared!.effect), EFFECTS.indexOf(known.effect))]!
      entry.tool = pluginTool({
        plugin: deps.name,
        definition: { ...known, effect },
        call,
        timeoutMs: deps.callTimeoutMs,
      })
    }
    if (kind === 'web_search') {
      entry.tool = searchTool({ plugin: deps.name, definition: known, call, timeoutMs: deps.callTimeoutMs })
    }
    if (kind === 'command') {
      entry.command = {
        plugin: deps.name,
        name: entry.name,
        description: entry.description,
        run: async (args, context) =>
          textOf(await call({ method: 'handle', input: { args }, timeoutMs: deps.callTimeoutMs(), context })),
      }
    }
    registered.set(handle, entry)
    post({ type: 'register_ok', handle })
    deps.onChange()
    if (kind === 'service') void start(entry)
  }

  async function start({ handle, name }: Registered): Promise<void> {
    await deps.call({ handle, method: 'start', input: {}, timeoutMs: SERVICE_START_MS }).catch((error: Error) =>
      deps.onProblem(`its service ${name} did not start: ${error.message}`)
    )
  }

  return {
    register,
    unregister(handle: string): void {
      if (registered.delete(handle)) deps.onChange()
    },
    list: (): PluginCapability[] =>
      [...registered.values()].map(({ handle, kind, name, description }) => ({ handle, kind, name, description })),
    tools: (): Tool[] => [...registered.values()].flatMap(({ tool }) => tool ? [tool] : []),
    commands: (): PluginCommand[] => [...registered.values()].flatMap(({ command }) => command ? [command] : []),
    clear(): void {
      if (registered.size === 0) return
      registered.clear()
      deps.onChange()
    },
  }
}

const isUsed = (kind: CapabilityKind): kind is Used => kind in DEFINITIONS
