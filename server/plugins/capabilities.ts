import * as v from 'valibot'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import type { CapabilityEvent, ToPlugin } from '../../shared/plugin-protocol.ts'
import type { PluginCapability } from '../../shared/plugins.ts'
import type { Tool } from '../tools/tool.ts'
import { GatewayError } from './gateway.ts'
import type { CallPlugin } from './kinds/kind.ts'
import { type Given, isUsed, kindOf, type UsedKind } from './kinds/kinds.ts'

const MAX_REGISTERED = 200
/** A plugin that is ready registers at once; after so long it does not any more. */
const REGISTERED_WITHIN_MS = 10_000

/** A `register` as the plugin wrote it. */
export type Registration = Pick<Extract<CapabilityEvent, { type: 'register' }>, 'handle' | 'kind' | 'definition'>

type Registered = PluginCapability & {
  kind: UsedKind
  given: Given<UsedKind>
  definition: Registration['definition']
  /** By the process that runs; else by one that ran before. */
  live: boolean
}

export type Capabilities = ReturnType<typeof createCapabilities>

/**
 * What one plugin registered. Only what its manifest declares, and the owner so accepted, is taken. Of a plugin that is
 * started on demand it stays when the process ends, and a call starts the next one.
 */
export function createCapabilities(deps: {
  /** Begins the tools' names. */
  name: string
  manifest: () => Manifest | undefined
  post: (message: ToPlugin) => void
  call: CallPlugin
  /** Whether it takes calls now. */
  isReady: () => boolean
  /** Makes it run; rejects with `GatewayError` when it can't be. */
  awake: (ms: number, signal: AbortSignal | undefined) => Promise<void>
  callTimeoutMs: () => number
  dataDir: () => string | undefined
  onChange: () => void
  onProblem: (message: string) => void
}) {
  const registered = new Map<string, Registered>()
  const waiting = new Set<() => void>()
  const live = () => [...registered.values()].filter((entry) => entry.live)

  /** What is wrong with a registration; undefined when it was taken. */
  function take(
    { handle, kind, definition }: Registration,
    isLive: boolean,
  ): [code: string, message: string] | undefined {
    const manifest = deps.manifest()
    if (!manifest || manifest.protocol !== 'gatehouse.v1') {
      return ['undeclared', 'only a plugin whose manifest says gatehouse.v1 may register']
    }
    if (!isUsed(kind)) return ['unsupported', `${kind} is not used by this server yet`]
    const others = live()
    if (others.some((other) => other.handle === handle)) return ['conflict', 'this handle is taken']
    if (others.length >= MAX_REGISTERED) return ['too_many', `there are ${MAX_REGISTERED} already`]
    const made = kindOf(kind)
    const parsed = v.safeParse(made.definition, definition, { abortEarly: true })
    if (!parsed.success) {
      const issue = parsed.issues[0]
      const field = issue.path?.map((step) => String(step.key)).join('.') ?? 'definition'
      return ['invalid', `${field}: ${issue.message}`]
    }
    const known = parsed.output
    const isDeclared = made.isDeclared?.(manifest, known) ?? manifest.capabilities.includes(kind)
    if (!isDeclared) return ['undeclared', `the manifest does not declare the ${kind} ${known.name}`]
    const key = `${kind} ${known.name}`
    if (registered.get(key)?.live) return ['conflict', `there is a ${key} already`]
    const given = made.create({
      plugin: deps.name,
      definition: known,
      manifest,
      call: (request) => call(key, request),
      timeoutMs: deps.callTimeoutMs,
      dataDir: deps.dataDir,
      onProblem: deps.onProblem,
    })
    const clash = others.find((other) => other.kind === kind && made.clashes?.(given, other.given))
    if (clash) return ['conflict', `it would stand in the way of the ${kind} ${clash.name}`]
    const description = known.description ?? known.label ?? ''
    registered.set(key, { handle, kind, name: known.name, description, given, definition, live: isLive })
  }

  function register(registration: Registration): void {
    const { handle } = registration
    const refused = take(registration, true)
    if (refused) {
      const [code, message] = refused
      deps.post({ type: 'register_failed', handle, code, message })
      return deps.onProblem(`"${handle}" was not registered: ${message}`)
    }
    deps.post({ type: 'register_ok', handle })
    deps.onChange()
    for (const look of [...waiting]) look()
    const entry = [...registered.values()].find((candidate) => candidate.live && candidate.handle === handle)!
    kindOf(entry.kind).begin?.(entry.given)
  }

  /** By what it is called now: the handle is another one in each process. */
  const handleOf = (key: string): string | undefined => {
    const entry = registered.get(key)
    return entry?.live ? entry.handle : undefined
  }

  const call = async (key: string, request: Omit<Parameters<CallPlugin>[0], 'handle'>): Promise<unknown> => {
    const known = deps.isReady() ? handleOf(key) : undefined
    if (known !== undefined) return await deps.call({ ...request, handle: known })
    const began = performance.now()
    const left = () => Math.max(1, Math.round(request.timeoutMs - (performance.now() - began)))
    await deps.awake(left(), request.signal)
    const handle = handleOf(key) ?? await registration(key, Math.min(left(), REGISTERED_WITHIN_MS))
    request.signal?.throwIfAborted()
    return await deps.call({ ...request, handle, timeoutMs: left() })
  }

  /** The handle by which the process that has just begun registers it. */
  function registration(key: string, ms: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const handle = handleOf(key)
        if (handle === undefined) return
        done()
        resolve(handle)
      }
      const late = setTimeout(() => {
        done()
        reject(new GatewayError('gone', `The plugin ${deps.name} does not offer the ${key} any more`, { sent: false }))
      }, ms)
      const done = () => {
        clearTimeout(late)
        waiting.delete(look)
      }
      waiting.add(look)
      look()
    })
  }

  /** What the registrations of one kind give out, in the order in which they came. */
  const givenBy = <K extends UsedKind>(kind: K): Given<K>[] =>
    [...registered.values()].filter((entry) => entry.kind === kind).map((entry) => entry.given as Given<K>)

  function forget(): void {
    if (registered.size === 0) return
    registered.clear()
    deps.onChange()
  }

  return {
    register,
    unregister(handle: string): void {
      const entry = live().find((candidate) => candidate.handle === handle)
      if (entry && registered.delete(`${entry.kind} ${entry.name}`)) deps.onChange()
    },
    list: (): PluginCapability[] =>
      [...registered.values()].map(({ handle, kind, name, description }) => ({ handle, kind, name, description })),
    given: givenBy,
    tools: (): Tool[] => [...givenBy('tool'), ...givenBy('web_search')],

    /** What the process that runs registered, as it wrote it. */
    registrations: (): Registration[] => live().map(({ handle, kind, definition }) => ({ handle, kind, definition })),

    /** Takes what an earlier process registered. False, and nothing is taken, when that does not hold any more. */
    restore(registrations: readonly Registration[]): boolean {
      const refused = registrations.some((registration) => take(registration, false) !== undefined)
      if (refused) forget()
      return registered.size > 0
    },

    /** The process ended. What it registered stays `kept`; of what earlier ones did, only if it said nothing at all. */
    ended(kept: boolean): void {
      if (!kept) return forget()
      if (live().length === 0) return
      for (const [key, entry] of registered) {
        if (entry.live) entry.live = false
        else registered.delete(key)
      }
      deps.onChange()
    },
    forget,
  }
}
