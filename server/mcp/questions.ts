import type { ElicitRequest, ElicitResult } from '@modelcontextprotocol/sdk/types.js'
import { ulid } from '../db/ulid.ts'
import type { AnswerQuestionInput, McpQuestion } from '../../shared/mcp.ts'
import { type Caller, demand } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { notFound } from '../errors.ts'
import type { ToolContext } from '../tools/tool.ts'
import { checkForm } from './form-values.ts'
import { clean } from './pinning.ts'

type Open = {
  question: McpQuestion
  handle: string
  /** The server's own id, of a page that it sends the person to. */
  elicitation: string | undefined
  answer: (result: ElicitResult) => void
}

const LONGEST_WAIT_MS = 300_000
const MOST_OPEN = 20
const MAX_MESSAGE = 4000
const MAX_SCHEMA = 32_768
const MAX_URL = 4096
const MOST_PAGES = 5
/** The error of a call that can't begin before somebody visited a page. */
const URL_REQUIRED = -32042

/**
 * Forms that a server puts to a person in the middle of a call, and pages that it sends him to (elicitation). They live
 * as long as the call, and only the one whose conversation asked may answer. What can't be shown to anybody is declined;
 * of a page, nobody here opens or fetches anything: the person sees the address and decides.
 */
export function createQuestions({ bus, now }: { bus: Bus; now: () => number }) {
  const open = new Map<string, Open>()
  const tell = (id: string, handle: string, action: 'created' | 'updated') =>
    bus.publish({ type: 'resource', resource: 'approval', action, id, handle })

  const questions = {
    ask(
      server: string,
      context: ToolContext | undefined,
      params: ElicitRequest['params'],
      signal: AbortSignal,
    ): Promise<ElicitResult> {
      const shown = shownOf(params)
      if (!context || !shown || open.size >= MOST_OPEN) return Promise.resolve({ action: 'decline' })
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
          elicitation: 'elicitationId' in params ? params.elicitationId : undefined,
          question: {
            id,
            server,
            session_id: context.session_id,
            message: clean(params.message).slice(0, MAX_MESSAGE),
            ...shown,
            created_at: at / 1000,
            expires_at: (at + LONGEST_WAIT_MS) / 1000,
          },
        })
        tell(id, handle, 'created')
      })
    },

    /**
     * Sends the person to the pages that a refused call names (UrlElicitationRequired): true when he visited them all,
     * false when he would not or the refusal is another one.
     */
    async visit(server: string, context: ToolContext, error: unknown): Promise<boolean> {
      const { code, data } = error as { code?: unknown; data?: { elicitations?: unknown } }
      const pages = Array.isArray(data?.elicitations) ? data.elicitations.filter(isPage).slice(0, MOST_PAGES) : []
      if (code !== URL_REQUIRED || pages.length === 0) return false
      for (const page of pages) {
        if ((await questions.ask(server, context, page, context.signal)).action !== 'accept') return false
      }
      return true
    },

    list: (caller: Caller): McpQuestion[] =>
      [...open.values()].filter(({ handle }) => handle === caller.handle).map(({ question }) => question),

    /** Throws `not_found` for somebody else's and for one that is answered. */
    answer(caller: Caller, id: string, { action, content = {} }: AnswerQuestionInput): void {
      demand(caller, 'chat')
      const found = open.get(id)
      if (!found || found.handle !== caller.handle) throw notFound('question', id)
      if (action !== 'accept' || found.question.mode === 'url') return found.answer({ action })
      checkForm(found.question.schema, content)
      found.answer({ action, content })
    },

    /** The server says that the person did what he was sent to do. */
    done(server: string, elicitation: string): void {
      for (const { question, elicitation: of, answer } of [...open.values()]) {
        if (question.server === server && of === elicitation) answer({ action: 'accept' })
      }
    },

    close: (): void => {
      for (const { answer } of [...open.values()]) answer({ action: 'cancel' })
    },
  }
  return questions
}

/** Undefined for what no page could show: forms without measure, addresses that no browser should open. */
function shownOf(params: ElicitRequest['params']): Pick<McpQuestion, 'mode' | 'schema' | 'url'> | undefined {
  if (params.mode === 'url') {
    const url = URL.parse(params.url)
    const web = url?.protocol === 'https:' || url?.protocol === 'http:'
    return web && url.href.length <= MAX_URL ? { mode: 'url', schema: {}, url: url.href } : undefined
  }
  const schema = params.requestedSchema as Record<string, unknown>
  return JSON.stringify(schema).length > MAX_SCHEMA ? undefined : { mode: 'form', schema, url: null }
}

const isPage = (value: unknown): value is Extract<ElicitRequest['params'], { mode: 'url' }> => {
  const { mode, url, message, elicitationId } = (value ?? {}) as Record<string, unknown>
  return mode === 'url' && [url, message, elicitationId].every((part) => typeof part === 'string')
}
