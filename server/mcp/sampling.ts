import type { CreateMessageRequest, CreateMessageResult } from '@modelcontextprotocol/sdk/types.js'
import { AppError } from '../errors.ts'
import type { ContentPart, ModelMessage } from '../models/provider.ts'
import type { Models } from '../models/service.ts'
import type { Log } from '../system/log.ts'

/** Answers a server that asks our model. */
export type Sampling = (
  server: string,
  params: CreateMessageRequest['params'],
  signal: AbortSignal,
) => Promise<CreateMessageResult>

const MAX_TOKENS = 8192
const MOST_PER_MINUTE = 30
const MINUTE_MS = 60_000

/** Model calls for servers that the owner allowed to ask; each is logged, and no tool of ours can be called by them. */
export function createSampling(deps: { models: Pick<Models, 'resolve'>; log: Log; now: () => number }): Sampling {
  const recent = new Map<string, number[]>()

  return async (server, params, signal) => {
    const at = deps.now()
    const calls = (recent.get(server) ?? []).filter((time) => at - time < MINUTE_MS)
    if (calls.length >= MOST_PER_MINUTE) {
      throw new AppError('rate_limited', `${server} asks the model more than ${MOST_PER_MINUTE} times a minute`)
    }
    recent.set(server, [...calls, at])
    const model = await deps.models.resolve(null)
    let text = ''
    const stream = model.provider.stream({
      model: model.model,
      messages: messagesOf(params),
      max_output_tokens: Math.min(params.maxTokens, MAX_TOKENS),
      ...(params.temperature === undefined ? {} : { temperature: params.temperature }),
    }, signal)
    for await (const event of stream) {
      if (event.type === 'text') text += event.delta
      if (event.type === 'failed') throw new AppError('bad_gateway', event.message)
      if (event.type === 'finish') {
        deps.log.info(`mcp.${server}`, 'The server asked the model', { model: model.runtime_id, usage: event.usage })
        const stopReason = event.reason === 'length' ? 'maxTokens' : 'endTurn'
        return { role: 'assistant', model: model.runtime_id, stopReason, content: { type: 'text', text } }
      }
    }
    throw new AppError('bad_gateway', 'The model ended its answer without a word')
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
