import type * as v from 'valibot'
import type {
  CapabilityKind,
  CommandDefinition,
  SpeechDefinition,
  TextPart,
  TextProviderDefinition,
  TextResult,
  ToolDefinition,
  ToPlugin,
  TranscribeInput,
  TranscribeResult,
  WebSearchDefinition,
  WebSearchResult,
} from '../../shared/plugin-protocol.ts'
import type { HttpRequest } from '../../shared/plugin-routes.ts'
import { describeError, PluginError } from './errors.ts'
import type { HookDefinition, HookInput, HookVerdict } from '../../shared/plugin-hooks.ts'
import { answerOf, type PluginHttpRoute, requestOf } from './http.ts'
import type { Link } from './link.ts'
import type { Log } from './log.ts'
import { note } from './stdio.ts'

/** One call of the core. */
export type CallContext = {
  /** Aborted when the core cancels the call, or nobody waits for it any more. */
  signal: AbortSignal
  /** For whom: `session_id`, `turn_id`, `handle`; what is known. */
  context: Record<string, string>
  /** A part of the answer before its end; resolves when the core has room for the next. */
  chunk(data: unknown): Promise<void>
}

type Method = (input: never, context: CallContext) => unknown

/** What a plugin offers: data about it, and a function for each method that the core may call. */
export type Capability = {
  kind: CapabilityKind
  definition: Record<string, unknown>
  methods: Record<string, Method>
}

/** A tool for models; what `run` answers is shown to them, an object as JSON. */
export type PluginTool = v.InferInput<typeof ToolDefinition> & {
  run(input: Record<string, unknown>, context: CallContext): unknown
}

/** `/name` in chats. */
export type PluginCommand = v.InferInput<typeof CommandDefinition> & {
  handle(input: unknown, context: CallContext): string | Promise<string>
}

/** Something that runs beside the calls. */
export type PluginService = { name: string; start(): unknown; stop?(): unknown }

export type PluginSearch = v.InferInput<typeof WebSearchDefinition> & {
  search(
    input: { query: string; count: number },
    context: CallContext,
  ): v.InferInput<typeof WebSearchResult> | Promise<v.InferInput<typeof WebSearchResult>>
}

/** What a model is asked; `messages` and `tools` as `server/models/provider.ts` describes them. */
export type TextRequest = {
  model: string
  messages: Record<string, unknown>[]
  tools?: { name: string; description: string; input_schema: Record<string, unknown> }[]
  tool_choice?: 'auto' | 'none' | 'required'
  max_output_tokens?: number
  temperature?: number
  reasoning_effort?: 'low' | 'medium' | 'high'
  cache_key?: string
}

/** Models; an answer is said in chunks that are parts, and ends with why and what it used. */
export type PluginTextProvider = v.InferInput<typeof TextProviderDefinition> & {
  generate(
    request: TextRequest,
    context: Omit<CallContext, 'chunk'> & { chunk(part: TextPart): Promise<void> },
  ): v.InferInput<typeof TextResult> | Promise<v.InferInput<typeof TextResult>>
}

/** Hears of something; only `tool.before` may answer, to forbid the call. The manifest declares the event. */
export type PluginHook = v.InferInput<typeof HookDefinition> & {
  handle(input: HookInput, context: CallContext): HookVerdict | void | Promise<HookVerdict | void>
}

/** Writes down what was said in a recording; an empty text where that is nothing. */
export type PluginSpeech = Omit<v.InferInput<typeof SpeechDefinition>, 'methods'> & {
  transcribe(input: TranscribeInput, context: CallContext): TranscribeResult | Promise<TranscribeResult>
}

/** Declares what the plugin offers, within `register`, within a channel's `start`, or later. */
export type Registrar = {
  tool(tool: PluginTool): void
  command(command: PluginCommand): void
  service(service: PluginService): void
  webSearch(search: PluginSearch): void
  textProvider(provider: PluginTextProvider): void
  speech(speech: PluginSpeech): void
  /** Answers its address on the internet; null where the owner has set no public address. */
  httpRoute(route: PluginHttpRoute): string | null
  hook(hook: PluginHook): void
  /** Any kind that has no verb of its own here. */
  offer(capability: Capability): void
}

type Call = Extract<ToPlugin, { type: 'call' }>
type Running = { abort: AbortController; credit: number; more: (() => void) | undefined }

/** The plugin's side of capabilities: what it registered, and the calls that run. */
export function createCapabilities(
  { send, log, publicUrl }: { send: Link['send']; log: Log; publicUrl: string | null },
) {
  const offered = new Map<string, Capability>()
  const running = new Map<string, Running>()
  const services: (() => unknown)[] = []
  let announced = false

  const tell = (handle: string, { kind, definition }: Capability): Promise<void> =>
    send({ type: 'register', handle, kind, definition })

  const registrar: Registrar = {
    offer(capability) {
      const handle = `${capability.kind}-${offered.size + 1}`
      offered.set(handle, capability)
      if (!announced) return
      tell(handle, capability).catch((error: unknown) => log.error(`${handle} was not registered: ${String(error)}`))
    },
    tool: ({ run, ...definition }) => registrar.offer({ kind: 'tool', definition, methods: { run } }),
    command: ({ handle, ...definition }) => registrar.offer({ kind: 'command', definition, methods: { handle } }),
    service({ start, stop, name }) {
      if (stop) services.push(stop)
      registrar.offer({ kind: 'service', definition: { name }, methods: { start } })
    },
    hook: ({ handle, ...definition }) => registrar.offer({ kind: 'hook', definition, methods: { handle } }),
    httpRoute({ handle, ...definition }) {
      const method = async (input: HttpRequest, context: CallContext) =>
        await answerOf(await handle(requestOf(input), context))
      registrar.offer({ kind: 'http_route', definition, methods: { handle: method } })
      return publicUrl === null ? null : `${publicUrl}/${definition.path}`
    },
    textProvider: ({ generate, ...definition }) =>
      registrar.offer({ kind: 'text_provider', definition, methods: { generate } }),
    speech: ({ transcribe, ...definition }) =>
      registrar.offer({
        kind: 'speech',
        definition: { ...definition, methods: ['transcribe'] },
        methods: { transcribe },
      }),
    webSearch: ({ search, ...definition }) => registrar.offer({ kind: 'web_search', definition, methods: { search } }),
  }

  async function run(call: Call): Promise<void> {
    const method = offered.get(call.handle)?.methods[call.method]
    const { call_id } = call
    if (!method) {
      const message = `There is no ${call.method} of ${call.handle}`
      return await send({ type: 'failed', call_id, code: 'invalid_request', message })
    }
    const state: Running = { abort: new AbortController(), credit: call.credit, more: undefined }
    running.set(call_id, state)
    const late = setTimeout(() => state.abort.abort(new PluginError('timeout', 'out of time')), call.deadline_ms)
    const { signal } = state.abort
    const context: CallContext = { signal, context: call.context, chunk: (data) => chunk(call_id, state, data) }
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    )
    try {
      const output = await Promise.race([Promise.resolve().then(() => method(call.input as never, context)), aborted])
      await send({ type: 'result', call_id, ...(output === undefined ? {} : { output }) })
    } catch (error) {
      await send({ type: 'failed', call_id, ...describeError(error) })
    } finally {
      clearTimeout(late)
      running.delete(call_id)
    }
  }

  async function chunk(call_id: string, state: Running, data: unknown): Promise<void> {
    while (state.credit <= 0) {
      state.abort.signal.throwIfAborted()
      await new Promise<void>((resolve) => {
        state.more = resolve
        state.abort.signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    state.abort.signal.throwIfAborted()
    state.credit--
    await send({ type: 'chunk', call_id, data })
  }

  return {
    registrar,

    /** Tells the core what there is. */
    async announce(): Promise<void> {
      announced = true
      for (const [handle, capability] of [...offered]) await tell(handle, capability)
    },

    /** The plugin ends: its services are told. */
    async stop(): Promise<void> {
      await Promise.all(services.map((stop) => Promise.resolve().then(stop).catch(note)))
    },

    /** A record about capabilities; calls run beside each other. */
    take(record: ToPlugin): void {
      switch (record.type) {
        case 'call':
          run(record).catch((error: unknown) => log.error(`A call could not be answered: ${String(error)}`))
          return
        case 'cancel':
          return running.get(record.call_id)?.abort.abort(new PluginError('cancelled', record.reason))
        case 'credit': {
          const call = running.get(record.call_id)
          if (call) call.credit += record.chunks
          return call?.more?.()
        }
        case 'register_failed':
          return log.error(`${record.handle} was refused: ${record.message}`)
      }
    },
  }
}
