import type { TokenUsage } from '../../../shared/turn-events.ts'
import type { ModelMessage, ModelRequest } from '../provider.ts'

/** A rough count: four characters a token, one for each character of scripts without spaces. */
export function estimateTokens(text: string): number {
  let wide = 0
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x2e7f) wide++
  return Math.ceil((text.length - wide) / 4 + wide)
}

/** Tokens that a picture or a file roughly costs; its bytes say nothing about it. */
const MEDIA_TOKENS = 1000

const messageTokens = (message: ModelMessage): number => {
  if (message.role === 'user') {
    return message.content.reduce(
      (sum, part) => sum + (part.type === 'text' ? estimateTokens(part.text) : MEDIA_TOKENS),
      4,
    )
  }
  const calls = message.role === 'assistant' && message.tool_calls ? JSON.stringify(message.tool_calls) : ''
  return 4 + estimateTokens(message.content) + estimateTokens(calls)
}

/** Tokens that a request roughly has, when the upstream did not count them. */
export const estimateInput = (request: ModelRequest): number =>
  request.messages.reduce((sum, message) => sum + messageTokens(message), 0) +
  (request.tools ? estimateTokens(JSON.stringify(request.tools)) : 0)

export const estimated = (request: ModelRequest, outputCharacters: number): TokenUsage => ({
  input_tokens: estimateInput(request),
  output_tokens: Math.ceil(outputCharacters / 4),
  estimated: true,
})
