import type { TurnEvent } from '../../shared/turn-events.ts'
import type { Approvals } from '../approvals/service.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../system/log.ts'
import type { CallContext } from './features.ts'
import { loadSdk } from './sdk.ts'

type Asked = Extract<TurnEvent, { type: 'approval' }>

/** Characters of the arguments that a question shows. */
const SHOWN = 2000

/**
 * Puts a question of the agent to the person at the client as well. It waits in Gatehouse all the same: whoever
 * answers first decides, and `over` takes the form away.
 */
export const createAgentQuestion =
  ({ approvals, log }: { approvals: Approvals; log: Log }) =>
  async (asked: Asked, context: CallContext, over: AbortSignal): Promise<void> => {
    if (!context.elicits) return
    const { caller, extra } = context
    const { types } = await loadSdk()
    const isQuestion = asked.name === 'ask_user'
    const shown = JSON.stringify(asked.arguments, null, 2).slice(0, SHOWN)
    try {
      const { action, content } = await extra.sendRequest(
        {
          method: 'elicitation/create',
          params: {
            mode: 'form',
            message: isQuestion
              ? questionOf(asked.arguments)
              : `May the agent run ${asked.name}? ${asked.reason}\n\n${shown}`,
            requestedSchema: isQuestion ? ANSWER : PERMISSION,
          },
        },
        types.ElicitResultSchema,
        { signal: over, timeout: Math.max(1000, asked.expires_at * 1000 - Date.now()) },
      )
      if (action === 'cancel') return
      const allowed = action === 'accept' && (isQuestion || content?.allow === true)
      const reason = isQuestion && typeof content?.answer === 'string' ? content.answer : undefined
      await approvals.decide(caller, asked.approval_id, allowed ? 'allow_once' : 'deny', { reason, via: 'mcp' })
    } catch (error) {
      // Answered elsewhere meanwhile.
      if (over.aborted || (error instanceof AppError && error.code === 'conflict')) return
      log.info('mcp_server.not_answered', 'A question was not answered at the MCP client; it waits under Approvals', {
        approval: asked.approval_id,
        error: (error as Error).message,
      })
    }
  }

const PERMISSION = {
  type: 'object' as const,
  properties: { allow: { type: 'boolean' as const, title: 'Allow it once', default: false } },
  required: ['allow'],
}

const ANSWER = {
  type: 'object' as const,
  properties: { answer: { type: 'string' as const, title: 'Your answer', maxLength: 2000 } },
  required: ['answer'],
}

function questionOf({ question, choices }: Record<string, unknown>): string {
  const list = Array.isArray(choices) ? choices.map((choice, i) => `\n${i + 1}. ${String(choice)}`).join('') : ''
  return `${String(question)}${list}`
}
