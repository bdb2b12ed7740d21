import type { ElicitRequest, ElicitResult } from '@modelcontextprotocol/sdk/types.js'
import { ulid } from 'ulid'
import type { AnswerQuestionInput, McpQuestion } from '../../shared/mcp.ts'
import { type Caller, demand } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { AppError, notFound } from '../errors.ts'
import type { ToolContext } from '../tools/tool.ts'

type Open = { question: McpQuestion; handle: string; answer: (result: ElicitResult) => void }

const LONGEST_WAIT_MS = 300_000
const MOST_OPEN = 20
const MAX_MESSAGE = 4000
const MAX_SCHEMA = 32_768

/**
 * Forms that a server puts to a person in the middle of a call (elicitation). They live as long as the call, and only
 * the one whose conversation asked may answer. What can't be shown to anybody is declined.
 */
export function createQuestions({ bus, now }: { bus: Bus; now: () => number }) {
  const open = new Map<string, Open>()
  const tell = (id: string, handle: string, action: 'created' | 'updated') =>
    bus.publish({ type: 'resource', resource: 'approval', action, id, handle })

  return {
    ask(
      server: string,
      context: ToolContext | undefined,
      params: ElicitRequest['params'],
      signal: AbortSignal,
    ): Promise<ElicitResult> {
      const schema = 'requestedSchema' in params ? params.requestedSchema as Record<string, unknown> : undefined
      if (!context || !schema || open.size >= MOST_OPEN || JSON.stringify(schema).length > MAX_SCHEMA) {
        return Promise.resolve({ action: 'decline' })
      }
      const id = ulid()
      const at = now()
      const { handle } = context.caller
      return new Promise((resolve) => {
        const answer = (result: ElicitResult): void => {
          if (!open.delete(id)) return
          clearTimeout(timer)
          tell(id, handle, 'updated')
          resolve(result)
        }
        const timer = setTimeout(() => answer({ action: 'cancel' }), LONGEST_WAIT_MS)
        for (const ended of [signal, context.signal]) {
          ended.addEventListener('abort', () => answer({ action: 'cancel' }), { once: true })
        }
        open.set(id, {
          handle,
          answer,
          question: {
            id,
            server,
            session_id: context.session_id,
            message: params.message.slice(0, MAX_MESSAGE),
            schema,
            created_at: at / 1000,
            expires_at: (at + LONGEST_WAIT_MS) / 1000,
          },
        })
        tell(id, handle, 'created')
      })
    },

    list: (caller: Caller): McpQuestion[] =>
      [...open.values()].filter(({ handle }) => handle === caller.handle).map(({ question }) => question),

    /** Throws `not_found` for somebody else's and for one that is answered. */
    answer(caller: Caller, id: string, { action, content }: AnswerQuestionInput): void {
      demand(caller, 'chat')
      const found = open.get(id)
      if (!found || found.handle !== caller.handle) throw notFound('question', id)
      if (action === 'accept' && !content) throw new AppError('invalid_input', 'content: is missing')
      found.answer(action === 'accept' ? { action, content: content! } : { action })
    },

    close: (): void => {
      for (const { answer } of [...open.values()]) answer({ action: 'cancel' })
    },
  }
}
