import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js'
import type {
  CallToolRequest,
  CallToolResult,
  CompleteRequest,
  CompleteResult,
  GetPromptRequest,
  GetPromptResult,
  ListResourcesResult,
  LoggingLevel,
  Prompt,
  ReadResourceResult,
  ResourceTemplate,
  ServerNotification,
  ServerRequest,
  Tool,
} from '@modelcontextprotocol/sdk/types.js'
import type { Caller } from '../auth/principal.ts'

/** Who asks, and with what program. */
export type Visitor = {
  caller: Caller
  /** As the client calls itself; empty where there was no handshake. */
  client: string
  /** Whether the client can draw a form and send back what was filled in. */
  elicits: boolean
}

/** One request while it is answered. */
export type CallContext = Visitor & {
  /** Aborted when the client calls the request off, or is gone for good. */
  signal: AbortSignal
  /** Whether the client is gone, rather than having called the request off. */
  isGone: () => boolean
  /** Tells the client in words, unless it wants to hear of graver things only. */
  log(level: LoggingLevel, text: string): Promise<void>
  extra: RequestHandlerExtra<ServerRequest, ServerNotification>
}

/** What the server offers; the transport knows none of it. `AppError`s reach the client, other errors only the log. */
export type Features = {
  instructions: string
  tools(visitor: Visitor): Tool[]
  call(params: CallToolRequest['params'], context: CallContext): Promise<CallToolResult>
  /** One page; throws `invalid_input` for a cursor that it never gave. */
  resources(visitor: Visitor, cursor: string | undefined): Promise<ListResourcesResult>
  templates: ResourceTemplate[]
  read(visitor: Visitor, uri: string): Promise<ReadResourceResult>
  prompts: Prompt[]
  prompt(visitor: Visitor, params: GetPromptRequest['params']): Promise<GetPromptResult>
  complete(visitor: Visitor, params: CompleteRequest['params']): Promise<CompleteResult['completion']>
}
