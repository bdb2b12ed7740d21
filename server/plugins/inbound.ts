import type { PluginSettings } from '../../shared/plugin-settings.ts'
import {
  answersAt,
  type HttpAnswer,
  MAX_REQUEST_BODY,
  methodOf,
  PLUGIN_ROUTES,
  type PluginRoute,
} from '../../shared/plugin-routes.ts'
import { type Caller, demand } from '../auth/principal.ts'
import { AppError } from '../errors.ts'
import { createBuckets } from './buckets.ts'
import { GatewayError } from './gateway.ts'
import { responseOf } from './inbound-answer.ts'
import { encoded, headersFor } from './inbound-request.ts'
import type { RegisteredRoute } from './kinds/http-route.ts'
import type { Roster } from './roster.ts'
import type { Spec } from './specs.ts'

/** Requests to one plugin that may be under way. */
const MAX_RUNNING = 32
/** Seconds after which a sender may come again while the plugin is not there. */
const COME_AGAIN = '10'

/** A request from outside, as the routes hand it over. */
export type Inbound = {
  method: string
  /** The whole one, as it was sent. */
  path: string
  query: string
  headers: Headers
  /** Throws `too_large` when there is more than this. */
  body: (limit: number) => Promise<Uint8Array>
  remote: string
  /** Undefined for a stranger. */
  caller: Caller | undefined
}

type Target = { spec: Spec; rest: string; route: PluginRoute }

export type InboundRequests = ReturnType<typeof createInbound>

/**
 * Requests for the routes of plugins. Which there are is read from the manifests that the owner accepted, so that a
 * sender is told to come again while the plugin is being started. Nothing tells a stranger what is installed.
 */
export function createInbound({ roster, settings, ownToken, log }: {
  roster: Pick<Roster, 'specs' | 'unitOf' | 'isKnown' | 'journalOf'>
  settings: () => PluginSettings
  /** GATEHOUSE_TOKEN, which no plugin may be handed by mistake. */
  ownToken: () => string | undefined
  log: (path: string, remote: string) => void
}) {
  const perSecond = () => settings().requests_per_second
  const ofPlugin = createBuckets({ perSecond, burstSeconds: 4 })
  // One sender alone can't use up what a plugin takes.
  const ofSender = createBuckets({ perSecond: () => perSecond() / 2, burstSeconds: 4 })
  const lines = createBuckets({ perSecond: () => 1, burstSeconds: 5 })
  const running = new Map<string, number>()

  /** What the manifests say of a path, for any method. */
  function find(path: string): { spec: Spec; rest: string; declared: PluginRoute[] } | undefined {
    if (!settings().enabled || !path.startsWith(`${PLUGIN_ROUTES}/`)) return undefined
    const [name, ...segments] = path.slice(PLUGIN_ROUTES.length + 1).split('/')
    const spec = roster.specs().find((candidate) => candidate.name === name)
    if (!spec?.manifest || !spec.enabled || !spec.accepted || spec.problem) return undefined
    const rest = segments.join('/')
    const declared = spec.manifest.routes.filter((route) => answersAt(route, rest))
    return declared.length > 0 ? { spec, rest, declared } : undefined
  }

  function admit(name: string, remote: string): void {
    const seconds = ofSender.take(`${name} ${remote}`) || ofPlugin.take(name)
    if (seconds > 0) {
      throw new AppError('rate_limited', 'There are too many requests; send them more slowly', {
        headers: { 'retry-after': String(Math.ceil(seconds)) },
      })
    }
    if ((running.get(name) ?? 0) >= MAX_RUNNING) throw unavailable('1')
  }

  /** Rejects with `timeout` when the sender takes too long; reading it costs one of the plugin's places. */
  async function bodyOf({ body }: Inbound, ms: number): Promise<Uint8Array> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new AppError('timeout', 'The body came too slowly; send it again')), ms)
    })
    try {
      return await Promise.race([body(MAX_REQUEST_BODY), late])
    } finally {
      clearTimeout(timer)
    }
  }

  async function ask(request: Inbound, { spec, rest, route }: Target): Promise<HttpAnswer> {
    const { caller } = request
    const method = methodOf(request.method)
    const registered: RegisteredRoute | undefined = roster.unitOf(spec.name)?.capabilities.given('http_route')
      .find((candidate) => answersAt(candidate.route, rest) && candidate.route.methods.includes(method!))
    if (!method || !registered) throw unavailable(COME_AGAIN)
    const deadline = performance.now() + settings().request_timeout_seconds * 1000
    const left = () => Math.max(1, Math.round(deadline - performance.now()))
    const body = await bodyOf(request, left())
    const input = {
      method,
      path: rest,
      query: request.query,
      headers: headersFor(route, request.headers, ownToken()),
      ...encoded(body),
      remote: request.remote,
    }
    return await registered.handle(input, { timeoutMs: left(), context: caller ? { handle: caller.handle } : {} })
  }

  /** One line for each refusal, as far as a flood of them leaves room for other lines. */
  function tell(name: string, { method, path, remote }: Inbound, error: AppError): void {
    if (lines.take(name) > 0) return
    const shown = path.slice(PLUGIN_ROUTES.length, 300)
    const { message } = error.cause instanceof Error ? error.cause : error
    roster.journalOf(name).line('warn', `${method} ${shown} from ${remote}: ${error.status} ${message}`)
  }

  return {
    /** Whether the plugin itself decides whom it answers there, so that our own credentials have no place. */
    isOpen({ method, path }: { method: string; path: string }): boolean {
      if (!path.startsWith(`${PLUGIN_ROUTES}/`)) return false
      return !roster.isKnown() || routeFor(method, find(path)?.declared ?? [])?.auth === 'plugin'
    },

    /** Asks the plugin. Throws `not_found` for what is not there, or not there for this caller. */
    async answer(request: Inbound): Promise<Response> {
      const { method, path, remote, caller } = request
      if (!roster.isKnown()) throw unavailable(COME_AGAIN)
      const found = find(path)
      const visible = found?.declared.filter(({ auth }) => auth === 'plugin' || caller) ?? []
      if (!found || visible.length === 0) {
        if (lines.take('') === 0) log(path.slice(0, 300), remote)
        throw new AppError('not_found', `There is no ${method} ${path}`)
      }
      const route = routeFor(method, visible)
      if (!route) {
        const allow = [...new Set(visible.flatMap(({ methods }) => methods))].join(', ')
        throw new AppError('method_not_allowed', `${path} takes ${allow}`, { headers: { allow } })
      }
      if (route.auth === 'gateway') demand(caller!, 'admin')
      const { spec, rest } = found
      const { name } = spec
      let answer: HttpAnswer
      try {
        admit(name, remote)
        running.set(name, (running.get(name) ?? 0) + 1)
        try {
          answer = await ask(request, { spec, rest, route })
        } finally {
          const others = running.get(name)! - 1
          if (others > 0) running.set(name, others)
          else running.delete(name)
        }
      } catch (error) {
        const refused = error instanceof GatewayError ? refusalOf(error) : error
        if (refused instanceof AppError) tell(name, request, refused)
        throw refused
      }
      return responseOf(answer)
    },
  }
}

const routeFor = (method: string, declared: readonly PluginRoute[]): PluginRoute | undefined =>
  declared.find(({ methods }) => methods.some((known) => known === methodOf(method)))

const unavailable = (seconds: string): AppError =>
  new AppError('unavailable', 'This can not be answered at the moment; come again', {
    headers: { 'retry-after': seconds },
  })

/** What a plugin says of its failures is for its owner, who reads the log; a stranger learns only that it failed. */
function refusalOf(error: GatewayError): AppError {
  const { code, message, retry_after_ms, sent } = error
  if (code === 'timeout') return new AppError('upstream_timeout', 'No answer came in time', { cause: error })
  if (code === 'gone' || !sent || retry_after_ms !== undefined) {
    const seconds = Math.ceil((retry_after_ms ?? 1000) / 1000)
    return new AppError('unavailable', 'This can not be answered at the moment; come again', {
      headers: { 'retry-after': String(Math.max(1, seconds)) },
      cause: error,
    })
  }
  return new AppError('bad_gateway', 'What answers here failed', { cause: new Error(`${code}: ${message}`) })
}
