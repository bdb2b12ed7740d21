import type { ContentPart, ModelMessage, ModelRequest } from '../provider.ts'
import { fileText } from './chat-completions-request.ts'

type Block = Record<string, unknown>
type Turn = { role: 'user' | 'assistant'; content: Block[] }

const BUDGET = { low: 2048, medium: 8192, high: 24_576 }

/** Parameters that models refuse: newer ones the thinking budget, some the temperature. */
export type AnthropicOption = 'thinking' | 'temperature'

/** The body of `POST /v1/messages`. */
export function anthropicBody(request: ModelRequest, refused: ReadonlySet<AnthropicOption>): Record<string, unknown> {
  const messages = turns(request.messages)
  const system = request.messages.filter((message) => message.role === 'system').map((message) => message.content)
  const systemBlocks: Block[] = system.filter(Boolean).map((text) => ({ type: 'text', text }))
  const maxTokens = request.max_output_tokens ?? (/^claude-3-(opus|sonnet|haiku)/.test(request.model) ? 4096 : 8192)
  const budget = thinkingBudget(request, messages, refused)
  if (request.cache_key) {
    // Two breakpoints: what never changes (tools and system), and the conversation so far.
    mark(systemBlocks.at(-1))
    mark(messages.at(-1)?.content.at(-1))
  }
  return {
    model: request.model,
    messages,
    stream: true,
    // The budget counts into the limit; some of it must be left for the answer.
    max_tokens: budget ? Math.max(maxTokens, budget + 1024) : maxTokens,
    ...(systemBlocks.length > 0 ? { system: systemBlocks } : {}),
    ...(request.tools && request.tools.length > 0
      ? { tools: request.tools, tool_choice: { type: toolChoice(request, budget !== undefined) } }
      : {}),
    ...(budget ? { thinking: { type: 'enabled', budget_tokens: budget } } : {}),
    ...(request.temperature === undefined || budget || refused.has('temperature')
      ? {}
      : { temperature: Math.min(request.temperature, 1) }),
  }
}

/** Thinking may not start between a call and its result, for the signed thought that led to the call is not kept. */
function thinkingBudget(
  request: ModelRequest,
  messages: Turn[],
  refused: ReadonlySet<AnthropicOption>,
): number | undefined {
  if (!request.reasoning_effort || refused.has('thinking') || /^claude-(2|3-[^7])/.test(request.model)) return undefined
  const last = messages.at(-1)
  if (last?.role !== 'user' || last.content.some((block) => block.type === 'tool_result')) return undefined
  return BUDGET[request.reasoning_effort]
}

/** Forcing a call and thinking exclude each other. */
function toolChoice(request: ModelRequest, thinking: boolean): string {
  if (request.tool_choice === 'none') return 'none'
  return request.tool_choice === 'required' && !thinking ? 'any' : 'auto'
}

function mark(block: Block | undefined): void {
  if (block) block.cache_control = { type: 'ephemeral' }
}

/** The API wants turns that alternate, begin with the user's, and hold no empty text. */
function turns(messages: ModelMessage[]): Turn[] {
  const out: Turn[] = []
  const add = (role: Turn['role'], content: Block[]): void => {
    const last = out.at(-1)
    if (content.length === 0) return
    if (last?.role === role) last.content.push(...content)
    else out.push({ role, content })
  }
  for (const message of messages) {
    if (message.role === 'user') add('user', message.content.flatMap(encodePart))
    else if (message.role === 'tool') {
      add('user', [{
        type: 'tool_result',
        tool_use_id: safeId(message.call_id),
        ...(message.content ? { content: message.content } : {}),
        ...(message.is_error ? { is_error: true } : {}),
      }])
    } else if (message.role === 'assistant') {
      add('assistant', [
        ...(message.content.trim() ? [{ type: 'text', text: message.content.trimEnd() }] : []),
        ...(message.tool_calls ?? []).map((call) => ({
          type: 'tool_use',
          id: safeId(call.call_id),
          name: call.name,
          input: call.arguments,
        })),
      ])
    }
  }
  if (out[0]?.role === 'assistant') out.unshift({ role: 'user', content: [{ type: 'text', text: '(continued)' }] })
  return out
}

/** Ids that another vendor made may hold characters that this one refuses. */
const safeId = (id: string): string => id.replace(/[^a-zA-Z0-9_-]/g, '_')

function encodePart(part: ContentPart): Block[] {
  if (part.type === 'text') return part.text.trim() ? [{ type: 'text', text: part.text }] : []
  const source = { type: 'base64', media_type: part.media_type, data: part.data }
  if (part.type === 'image') return [{ type: 'image', source }]
  if (part.media_type === 'application/pdf') return [{ type: 'document', title: part.filename, source }]
  const text = fileText(part) ?? `(The file ${part.filename}, ${part.media_type}, can't be shown to this model.)`
  return [{ type: 'text', text }]
}
