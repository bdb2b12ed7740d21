import { AppError } from '../errors.ts'
import type { Tool } from '../tools/tool.ts'
import type { CallContext } from './features.ts'
import { loadSdk } from './sdk.ts'

/** How long a person may take to answer. */
const PATIENCE_MS = 300_000
/** Characters of the arguments that the question shows. */
const SHOWN = 2000

/**
 * Asks the person at the client for the yes that the gate wants, in a form of the client. Throws `conflict` where the
 * client draws none, `forbidden` when the answer is no.
 */
export async function confirm(
  tool: Tool,
  args: Record<string, unknown>,
  reason: string,
  context: CallContext,
): Promise<void> {
  if (!context.elicits) {
    throw new AppError(
      'conflict',
      `This call needs a yes: ${reason} Your client can't ask you. Allow it by a rule on the page Tools, or use ` +
        'ask_agent: its questions wait for you under Approvals.',
    )
  }
  const { types } = await loadSdk()
  const shown = JSON.stringify(args, null, 2)
  const question = `Gatehouse asks before it runs ${tool.name}. ${reason}\n\n${
    shown.length > SHOWN ? `${shown.slice(0, SHOWN)}\n… (${shown.length - SHOWN} more characters)` : shown
  }`
  const { action, content } = await context.extra.sendRequest(
    {
      method: 'elicitation/create',
      params: {
        mode: 'form',
        message: question,
        requestedSchema: {
          type: 'object',
          properties: { allow: { type: 'boolean', title: `Run ${tool.name} once`, default: false } },
          required: ['allow'],
        },
      },
    },
    types.ElicitResultSchema,
    { signal: context.signal, timeout: PATIENCE_MS },
  )
  if (action !== 'accept' || content?.allow !== true) throw new AppError('forbidden', 'You said no to this call.')
}
