import * as v from 'valibot'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import type { CapabilityEvent, ToPlugin } from '../../shared/plugin-protocol.ts'
import type { PluginCapability } from '../../shared/plugins.ts'
import type { Tool } from '../tools/tool.ts'
import type { CallPlugin } from './kinds/kind.ts'
import { type Given, isUsed, kindOf, type UsedKind } from './kinds/kinds.ts'

const MAX_REGISTERED = 200

type Registered = PluginCapability & { kind: UsedKind; given: Given<UsedKind> }

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
    const made = kindOf(kind)
    const parsed = v.safeParse(made.definition, definition, { abortEarly: true })
    if (!parsed.success) {
      const issue = parsed.issues[0]
      const field = issue.path?.map((step) => String(step.key)).join('.') ?? 'definition'
      return refuse(handle, 'invalid', `${field}: ${issue.message}`)
    }
    const known = parsed.output
    const isDeclared = made.isDeclared?.(manifest, known) ?? manifest.capabilities.includes(kind)
    if (!isDeclared) return refuse(handle, 'undeclared', `the manifest does not declare the ${kind} ${known.name}`)
    if ([...registered.values()].some((other) => other.kind === kind && other.name === known.name)) {
      return refuse(handle, 'conflict', `there is a ${kind} ${known.name} already`)
    }
    const given = made.create({
      plugin: deps.name,
      definition: known,
      manifest,
      call: (request) => deps.call({ ...request, handle }),
      timeoutMs: deps.callTimeoutMs,
      onProblem: deps.onProblem,
    })
    const clash = [...registered.values()].find((other) => other.kind === kind && made.clashes?.(given, other.given))
    if (clash) return refuse(handle, 'conflict', `it would stand in the way of the ${kind} ${clash.name}`)
    const description = known.description ?? known.label ?? ''
    registered.set(handle, { handle, kind, name: known.name, description, given })
    post({ type: 'register_ok', handle })
    deps.onChange()
    made.begin?.(given)
  }

  /** What the registrations of one kind give out, in the order in which they came. */
  const givenBy = <K extends UsedKind>(kind: K): Given<K>[] =>
    [...registered.values()].filter((entry) => entry.kind === kind).map((entry) => entry.given as Given<K>)

  return {
    register,
    unregister(handle: string): void {
      if (registered.delete(handle)) deps.onChange()
    },
    list: (): PluginCapability[] =>
      [...registered.values()].map(({ handle, kind, name, description }) => ({ handle, kind, name, description })),
    given: givenBy,
    tools: (): Tool[] => [...givenBy('tool'), ...givenBy('web_search')],
    clear(): void {
      if (registered.size === 0) return
      registered.clear()
      deps.onChange()
    },
  }
}
