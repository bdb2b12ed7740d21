import type { CallToolResult, Tool as McpTool } from '@modelcontextprotocol/sdk/types.js'
import { ulid } from 'ulid'
import { can, demand } from '../auth/principal.ts'
import { AppError, notFound } from '../errors.ts'
import { briefly, type Gate, type GateDeps } from '../tools/gate.ts'
import { type Tools, wireNameOf } from '../tools/service.ts'
import type { Tool } from '../tools/tool.ts'
import { confirm } from './confirm.ts'
import type { CallContext, Visitor } from './features.ts'
import { createProgress } from './progress.ts'

/** Make sense only inside a turn of ours: a client asks its own user, knows all tools, and has `ask_agent`. */
const OF_A_TURN = new Set(['ask_user', 'delegate', 'tool_search'])

/** A call that takes longer is ended here; most tools have shorter limits of their own. */
const LONGEST_MS = 600_000

export type McpTools = ReturnType<typeof createMcpTools>

/** The one list of tools for MCP clients, behind the one gate. */
export function createMcpTools({ tools, gate, audit }: { tools: Tools; gate: Gate; audit: GateDeps['audit'] }) {
  const offered = (): Tool[] => tools.list().filter((tool) => !OF_A_TURN.has(tool.name))

  /** Throws what the gate says no to; returns when the call may run. */
  async function judge(tool: Tool, args: Record<string, unknown>, call_id: string, context: CallContext) {
    const { caller } = context
    const session = { sid: 0, id: '', origin: 'mcp', handle: caller.handle }
    const verdict = await gate.judge({ tool, arguments: args, caller, session, call_id })
    if (verdict.decision === 'allow') return
    if (verdict.decision === 'deny') throw new AppError('forbidden', `Not allowed: ${verdict.reason}`)
    if (!can(caller, 'admin')) {
      throw new AppError(
        'forbidden',
        `This call needs a yes: ${verdict.reason} Only a key with the scope admin may give it. A rule on the page ` +
          'Tools can allow it, or use ask_agent: its questions wait for the owner.',
      )
    }
    await confirm(tool, args, verdict.reason, context)
    await audit({ caller, action: 'tool.confirmed', target: tool.name, detail: { ...briefly(args), call_id } })
  }

  return {
    /** Empty for a caller who may only read. */
    list: ({ caller }: Visitor): McpTool[] => can(caller, 'chat') ? offered().map(shown) : [],

    async call(name: string, args: Record<string, unknown>, context: CallContext): Promise<CallToolResult> {
      demand(context.caller, 'chat')
      const tool = tools.find(name)
      if (!tool || OF_A_TURN.has(tool.name)) throw notFound('tool', name)
      const call_id = ulid()
      await judge(tool, args, call_id, context)
      const progress = createProgress(context)
      const output = await tools.run(tool, args, {
        caller: context.caller,
        session_id: '',
        turn_id: '',
        call_id,
        signal: AbortSignal.any([context.signal, AbortSignal.timeout(LONGEST_MS)]),
        ...(progress ? { progress } : {}),
      })
      return { content: [{ type: 'text', text: output.text }], ...(output.ok ? {} : { isError: true }) }
    },
  }
}

/** A tool as clients see it; its name is one that every vendor of models takes. */
function shown({ name, description, effect, source, input_schema }: Tool): McpTool {
  return {
    name: wireNameOf(name),
    title: name,
    description,
    inputSchema: { ...input_schema, type: 'object' },
    annotations: {
      readOnlyHint: effect === 'read',
      destructiveHint: effect === 'execute',
      openWorldHint: effect === 'execute' || source !== undefined || name.startsWith('web.'),
    },
  }
}
