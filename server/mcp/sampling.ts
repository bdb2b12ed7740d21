import type { CreateMessageRequest, CreateMessageResult } from '@modelcontextprotocol/sdk/types.js'
import { AppError } from '../errors.ts'
import type { ContentPart, ModelMessage } from '../models/provider.ts'
import type { ToolContext } from '../tools/tool.ts'
import type { createQuestions } from './questions.ts'

/** Answers a server that asks our model in the middle of a call. */
export type Sampling = (
  server: string,
  context: ToolContext | undefined,
  params: CreateMessageRequest['params'],
  signal: AbortSignal,
) => Promise<CreateMessageResult>

const MAX_TOKENS = 8192
const MOST_PER_MINUTE = 30
const MINUTE_MS = 60_000
const MOST_SHOWN = 2000

/**
 * Model calls for servers that the owner allowed to ask, in the name of the turn whose call they serve: it pays, its
 * limits hold, and no tool of ours can be called by them. Outside of a turn nobody answers for them, so there are none.
 */
export function createSampling(
  { questions, now }: { questions: Pick<ReturnType<typeof createQuestions>, 'ask'>; now: () => number },
): Sampling {
  const recent = new Map<string, number[]>()

  return async (server, context, params, signal) => {
    if (!context?.askModel) {
      throw new AppError('unavailable', 'The model can be asked only in the middle of a call of a conversation')
    }
    if (params.tools?.length) throw new AppError('invalid_input', 'tools: the model is asked without any here')
    const at = now()
    const calls = (recent.get(server) ?? []).filter((time) => at - time < MINUTE_MS)
    if (calls.length >= MOST_PER_MINUTE) {
      throw new AppError('rate_limited', `${server} asks the model more than ${MOST_PER_MINUTE} times a minute`)
    }
    recent.set(server, [...calls, at])
    const { model, text, cut } = await context.askModel({
      source: `mcp:${server}`,
      messages: messagesOf(params),
      max_output_tokens: Math.min(params.maxTokens, MAX_TOKENS),
      ...(params.temperature === undefined ? {} : { temperature: params.temperature }),
      async confirm(reason, prompt) {
        const message = `${server} wants to ask your model. ${reason}\n\n${prompt.slice(0, MOST_SHOWN)}`
        const requestedSchema = { type: 'object' as const, properties: {} }
        return (await questions.ask(server, context, { mode: 'form', message, requestedSchema }, signal)).action ===
          'accept'
      },
      signal,
    })
    return { role: 'assistant', model, stopReason: cut ? 'maxTokens' : 'endTurn', content: { type: 'text', text } }
  }
}

function messagesOf({ systemPrompt, messages }: CreateMessageRequest['params']): ModelMessage[] {
  return [
    ...(systemPrompt ? [{ role: 'system' as const, content: systemPrompt }] : []),
    ...messages.map((message): ModelMessage => {
      const blocks = Array.isArray(message.content) ? message.content : [message.content]
      const parts = blocks.map((block): ContentPart => {
        if (block.type === 'text') return { type: 'text', text: block.text }
        if (block.type === 'image') return { type: 'image', media_type: block.mimeType, data: block.data }
        throw new AppError('invalid_input', `content of the type ${block.type} can't be given to the model`)
      })
      if (message.role === 'user') return { role: 'user', content: parts }
      return { role: 'assistant', content: parts.map((part) => part.type === 'text' ? part.text : '').join('\n') }
    }),
  ]
}
