import * as v from 'valibot'
import {
  HttpAnswer,
  type HttpRequest,
  HttpRouteDefinition,
  isWithin,
  overlap,
  type PluginRoute,
} from '../../../shared/plugin-routes.ts'
import { GatewayError } from '../gateway.ts'
import { defineKind } from './kind.ts'

/** A route that a plugin answers. */
export type RegisteredRoute = {
  route: PluginRoute
  /** Rejects with `GatewayError`; its code is `bad_answer` when the answer makes no sense. */
  handle(request: HttpRequest, options: { timeoutMs: number; context: Record<string, string> }): Promise<HttpAnswer>
}

/** An address below `/hooks/plugins/<name>/`. Who asks there is checked in `inbound.ts`. */
export const httpRoute = defineKind({
  definition: HttpRouteDefinition,
  isDeclared: (manifest, { name: _, ...route }) => manifest.routes.some((declared) => isWithin(route, declared)),
  clashes: (given: RegisteredRoute, other) => overlap(given.route, other.route),
  create: ({ definition: { name: _, ...route }, call }): RegisteredRoute => ({
    route,
    async handle(input, { timeoutMs, context }) {
      const parsed = v.safeParse(HttpAnswer, await call({ method: 'handle', input, timeoutMs, context }))
      if (parsed.success) return parsed.output
      const issue = parsed.issues[0]
      const field = issue.path?.map((step) => String(step.key)).join('.') ?? 'the answer'
      throw new GatewayError('bad_answer', `${field} ${issue.message}`)
    },
  }),
})
