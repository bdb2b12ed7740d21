import { Buffer } from 'node:buffer'
import type { ContentPart, ModelMessage, ModelRequest } from '../provider.ts'

/** Parameters that some upstreams refuse; each is left out once an upstream has said so. */
export const OPTIONAL = [
  'stream_options',
  'max_completion_tokens',
  'max_tokens',
  'temperature',
  'reasoning_effort',
  'prompt_cache_key',
] as const
export type Optional = (typeof OPTIONAL)[number]

/** The body of a chat completion. api.openai.com has dropped `max_tokens` and knows cache keys. */
export function chatBody(
  request: ModelRequest,
  host: string,
  refused: ReadonlySet<Optional>,
): Record<string, unknown> {
  const official = host === 'api.openai.com'
  const idOf = host.endsWith('mistral.ai') ? mistralId : (id: string) => id
  const newer = (official || refused.has('max_tokens')) && !refused.has('max_completion_tokens')
  const body: Record<string, unknown> = {
    model: request.model,
    messages: request.messages.map((message) => encodeMessage(message, idOf)),
    stream: true,
    stream_options: { include_usage: true },
    ...(request.tools && request.tools.length > 0
      ? { tools: request.tools.map(encodeTool), tool_choice: request.tool_choice ?? 'auto' }
      : {}),
    ...(request.max_output_tokens
      ? { [newer ? 'max_completion_tokens' : 'max_tokens']: request.max_output_tokens }
      : {}),
    ...(request.temperature === undefined ? {} : { temperature: request.temperature }),
    ...(request.reasoning_effort ? { reasoning_effort: request.reasoning_effort } : {}),
    ...(request.cache_key && official ? { prompt_cache_key: request.cache_key.slice(0, 64) } : {}),
  }
  for (const name of refused) delete body[name]
  return body
}

/** The optional parameter of `body` that a refusal complains about, if the complaint is that it is not known. */
export function refusedOption(message: string, body: Record<string, unknown>): Optional | undefined {
  const text = message.toLowerCase()
  const named = OPTIONAL.find((name) => name in body && text.includes(name))
  const option = named ?? ('stream_options' in body && text.includes('include_usage') ? 'stream_options' : undefined)
  if (option === 'stream_options') return option
  return /unsupported|not support|unknown|unrecogni|unexpected|not permitted|not allowed|extra (inputs|fields)|invalid (param|field)/
      .test(text)
    ? option
    : undefined
}

const encodeTool = (tool: { name: string; description: string; input_schema: Record<string, unknown> }) => ({
  type: 'function',
  function: { name: tool.name, description: tool.description, parameters: tool.input_schema },
})

function encodeMessage(message: ModelMessage, idOf: (id: string) => string): Record<string, unknown> {
  switch (message.role) {
    case 'system':
      return { role: 'system', content: message.content }
    case 'user':
      return { role: 'user', content: encodeParts(message.content) }
    case 'assistant': {
      if (!message.tool_calls || message.tool_calls.length === 0) return { role: 'assistant', content: message.content }
      const tool_calls = message.tool_calls.map((call) => ({
        id: idOf(call.call_id),
        type: 'function',
        function: { name: call.name, arguments: JSON.stringify(call.arguments) },
      }))
      return { role: 'assistant', content: message.content || null, tool_calls }
    }
    case 'tool':
      return {
        role: 'tool',
        tool_call_id: idOf(message.call_id),
        content: message.is_error && !/^error/i.test(message.content) ? `Error: ${message.content}` : message.content,
      }
  }
}

/** Mistral takes call ids of exactly nine letters and digits; others, made by another vendor, become such. */
function mistralId(id: string): string {
  if (/^[a-zA-Z0-9]{9}$/.test(id)) return id
  let hash = 0n
  for (let i = 0; i < id.length; i++) hash = BigInt.asUintN(64, hash * 1_000_003n + BigInt(id.charCodeAt(i)))
  return hash.toString(36).padStart(9, '0').slice(-9)
}

/** A plain string where it is only text: many local servers know nothing else. */
function encodeParts(parts: ContentPart[]): string | Record<string, unknown>[] {
  if (parts.every((part) => part.type === 'text')) return parts.map((part) => part.text).join('\n')
  return parts.map((part) => {
    if (part.type === 'text') return { type: 'text', text: part.text }
    const url = `data:${part.media_type};base64,${part.data}`
    if (part.type === 'image') return { type: 'image_url', image_url: { url } }
    const text = fileText(part)
    if (text !== undefined) return { type: 'text', text }
    return { type: 'file', file: { filename: part.filename, file_data: url } }
  })
}

/** A text file as text that names it; undefined for binary ones. */
export function fileText(part: { media_type: string; filename: string; data: string }): string | undefined {
  if (!/^text\/|[/+](json|xml|yaml|toml|javascript|typescript|x-sh)\b/.test(part.media_type)) return undefined
  return `File ${part.filename}:\n${new TextDecoder().decode(Buffer.from(part.data, 'base64'))}`
}
