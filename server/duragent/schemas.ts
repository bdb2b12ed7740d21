import * as v from 'valibot'
import { TurnText } from '../../shared/sessions.ts'

/** `agent` is the name that `GET /api/v1/agents` lists. */
export const CreateInput = v.object({
  agent: v.pipe(v.string('is missing: the name of an agent'), v.minLength(1, 'must not be empty'), v.maxLength(200)),
  /** What happens to the answer when the reader of its stream goes away; the reference has it per agent. */
  on_disconnect: v.optional(v.picklist(['continue', 'pause'], 'must be continue or pause'), 'continue'),
})

export const ContentInput = v.object({
  content: v.pipe(
    v.string('is missing'),
    TurnText,
    v.check((text) => text.trim() !== '', 'is empty; write something'),
  ),
})

export const ApproveInput = v.object({
  call_id: v.string('is missing'),
  /** Repeated from the question, so that nobody says yes to something else than what they saw. */
  command: v.string('is missing; repeat the command of the question'),
  decision: v.picklist(['allow_once', 'allow_always', 'deny'], 'must be allow_once, allow_always or deny'),
})

const wholeNumber = v.pipe(v.string(), v.regex(/^\d{1,9}$/, 'must be a whole number'), v.transform(Number))

export const ListQuery = v.object({
  limit: v.optional(v.pipe(wholeNumber, v.minValue(1, 'must be at least 1'), v.maxValue(200, 'must be at most 200'))),
  cursor: v.optional(v.pipe(v.string(), v.maxLength(500))),
})

export const MessagesQuery = v.object({ limit: v.optional(wholeNumber) })

const Status = v.picklist(['active', 'paused', 'running', 'completed'])

export const SessionAnswer = v.object({
  session_id: v.string(),
  agent: v.string(),
  status: Status,
  created_at: v.pipe(v.string(), v.isoTimestamp()),
})
export type SessionAnswer = v.InferOutput<typeof SessionAnswer>

export const SessionsAnswer = v.object({ sessions: v.array(SessionAnswer), nextCursor: v.nullable(v.string()) })

export const SessionDetail = v.object({
  ...SessionAnswer.entries,
  updated_at: v.pipe(v.string(), v.isoTimestamp()),
})

const AgentSummary = v.object({
  name: v.string(),
  description: v.optional(v.string()),
  version: v.optional(v.string()),
})

export const AgentsAnswer = v.object({ agents: v.array(AgentSummary) })

export const AgentAnswer = v.object({
  api_version: v.literal('duragent/v1alpha1'),
  kind: v.literal('Agent'),
  metadata: AgentSummary,
  spec: v.object({
    model: v.object({
      provider: v.string(),
      name: v.string(),
      max_input_tokens: v.optional(v.number()),
    }),
    system_prompt: v.optional(v.string()),
  }),
})

export const Message = v.object({ role: v.picklist(['user', 'assistant']), content: v.string() })
export type Message = v.InferOutput<typeof Message>

export const MessagesAnswer = v.object({ messages: v.array(Message) })

export const MessageAnswer = v.object({
  message_id: v.string(),
  role: v.literal('assistant'),
  content: v.string(),
})

export const ApproveAnswer = v.object({
  status: v.literal('complete'),
  message_id: v.string(),
  content: v.string(),
})
