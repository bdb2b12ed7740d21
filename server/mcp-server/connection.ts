import type { Server } from '@modelcontextprotocol/sdk/server/index.js'
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js'
import type { LoggingLevel, ServerNotification, ServerRequest } from '@modelcontextprotocol/sdk/types.js'
import type { Caller } from '../auth/principal.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../system/log.ts'
import type { CallContext, Features, Visitor } from './features.ts'
import type { Sdk } from './sdk.ts'

/** One client on one transport. */
export type Connection = {
  server: Server
  /** Resources that it wants to hear of. */
  subscriptions: Set<string>
  /** Requests that are being answered. */
  busy: () => number
}

/** Subscriptions of one session; further ones are refused. */
const MAX_SUBSCRIPTIONS = 1000

/** From the least grave. */
const LEVELS: LoggingLevel[] = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

/** Joins what we offer to the SDK's server, for one caller. */
export function createConnection(
  { Server, validator, types }: Sdk,
  features: Features,
  caller: Caller,
  { version, log }: { version: string; log: Log },
): Connection {
  const server = new Server({ name: 'gatehouse', title: 'Gatehouse', version }, {
    capabilities: {
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      prompts: {},
      completions: {},
      logging: {},
    },
    instructions: features.instructions,
    jsonSchemaValidator: validator,
  })
  const subscriptions = new Set<string>()
  let busy = 0
  let gone = false
  server.onclose = () => (gone = true)
  server.oninitialized = () => {
    const { name = '', version: release = '' } = server.getClientVersion() ?? {}
    const client = `${name} ${release}`.slice(0, 100)
    log.info('mcp_server.connected', 'An MCP client connected', { client, principal: caller.id, by: caller.name })
  }
  server.onerror = (error) =>
    log.debug('mcp_server.transport', 'A message could not be carried', { error: error.message })

  const visitor = (): Visitor => {
    const elicitation = server.getClientCapabilities()?.elicitation
    return {
      caller,
      client: server.getClientVersion()?.name ?? '',
      // Before 2025-11-25 the capability had no modes and meant forms.
      elicits: elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined),
    }
  }
  let least = LEVELS.indexOf('info')
  const contextOf = (extra: RequestHandlerExtra<ServerRequest, ServerNotification>): CallContext => ({
    ...visitor(),
    signal: extra.signal,
    isGone: () => gone,
    async log(level, data) {
      if (LEVELS.indexOf(level) < least) return
      await extra.sendNotification({ method: 'notifications/message', params: { level, logger: 'gatehouse', data } })
    },
    extra,
  })

  /** Counts the work and puts its failure into the protocol's words. */
  const answer = <P, R>(work: (params: P, context: CallContext) => R | Promise<R>) =>
  async (
    request: { params?: P },
    extra: RequestHandlerExtra<ServerRequest, ServerNotification>,
  ): Promise<R> => {
    busy++
    try {
      return await work(request.params as P, contextOf(extra))
    } catch (error) {
      throw inProtocol(error, types.ErrorCode, log)
    } finally {
      busy--
    }
  }

  server.setRequestHandler(types.ListToolsRequestSchema, answer((_, context) => ({ tools: features.tools(context) })))
  server.setRequestHandler(types.CallToolRequestSchema, answer(features.call))
  server.setRequestHandler(
    types.ListResourcesRequestSchema,
    answer((params, context) => features.resources(context, params?.cursor)),
  )
  server.setRequestHandler(
    types.ListResourceTemplatesRequestSchema,
    answer(() => ({ resourceTemplates: features.templates })),
  )
  server.setRequestHandler(types.ReadResourceRequestSchema, answer(({ uri }, context) => features.read(context, uri)))
  server.setRequestHandler(
    types.SubscribeRequestSchema,
    answer(({ uri }) => {
      if (subscriptions.size >= MAX_SUBSCRIPTIONS) {
        throw new AppError('rate_limited', `${MAX_SUBSCRIPTIONS} subscriptions are the most of one session`)
      }
      subscriptions.add(uri)
      return {}
    }),
  )
  server.setRequestHandler(
    types.UnsubscribeRequestSchema,
    answer(({ uri }) => {
      subscriptions.delete(uri)
      return {}
    }),
  )
  server.setRequestHandler(
    types.SetLevelRequestSchema,
    answer(({ level }) => {
      least = LEVELS.indexOf(level)
      return {}
    }),
  )
  server.setRequestHandler(types.ListPromptsRequestSchema, answer(() => ({ prompts: features.prompts })))
  server.setRequestHandler(types.GetPromptRequestSchema, answer((params, context) => features.prompt(context, params)))
  server.setRequestHandler(
    types.CompleteRequestSchema,
    answer(async (params, context) => ({ completion: await features.complete(context, params) })),
  )
  return { server, subscriptions, busy: () => busy }
}

/** What the client is told: our own words for what it can act on, nothing of a bug but that it is in the log. */
function inProtocol(error: unknown, codes: Sdk['types']['ErrorCode'], log: Log): Error {
  if (error instanceof AppError) {
    const invalid = error.code === 'invalid_input' || error.code === 'not_found' || error.code === 'bad_request'
    const code = invalid ? codes.InvalidParams : codes.InternalError
    return Object.assign(new Error(error.message), { code, data: { code: error.code } })
  }
  if (Number.isSafeInteger((error as { code?: unknown }).code)) return error as Error
  log.error('mcp_server.failed', 'A request of an MCP client failed', {
    error: (error as Error).stack ?? String(error),
  })
  return Object.assign(new Error('Something went wrong in the server; its log has the details'), {
    code: codes.InternalError,
  })
}
