type Tool = { name: string; arguments: Record<string, unknown> }

/** How one vendor's wire format says things. */
export type Voice = {
  start(): string
  text(delta: string): string
  reasoning(delta: string): string
  /** A call in pieces: id and name first, then its arguments in fragments. */
  tool(name: string, args: Record<string, unknown>): string[]
  finish(tools: boolean, tokens: number): string
  error(status: number): unknown
  errorEvent(message: string): string
  whole(text: string, thought: string, tool: Tool | undefined): unknown
}

const INPUT_TOKENS = 11
const CACHED_TOKENS = 3

const fragments = (text: string): string[] => text.match(/[\s\S]{1,7}/g) ?? []

/** OpenAI chat completions; the usage chunk comes only when it was asked for. */
export function chatVoice(body: Record<string, unknown>): Voice {
  const head = { id: 'chatcmpl-mock', object: 'chat.completion.chunk', created: 1_700_000_000, model: body.model }
  const data = (rest: unknown): string => `data: ${JSON.stringify({ ...head, ...rest as object })}\n\n`
  const delta = (value: unknown): string => data({ choices: [{ index: 0, delta: value, finish_reason: null }] })
  const call = (value: unknown): string => delta({ tool_calls: [value] })
  const usage = (output: number) => ({
    prompt_tokens: INPUT_TOKENS,
    completion_tokens: output,
    total_tokens: INPUT_TOKENS + output,
    prompt_tokens_details: { cached_tokens: CACHED_TOKENS },
  })
  const wantsUsage = (body.stream_options as { include_usage?: boolean } | undefined)?.include_usage === true
  return {
    start: () => delta({ role: 'assistant', content: '' }),
    text: (content) => delta({ content }),
    reasoning: (reasoning_content) => delta({ reasoning_content }),
    tool: (name, args) => [
      call({ index: 0, id: 'call_mock1', type: 'function', function: { name, arguments: '' } }),
      ...fragments(JSON.stringify(args)).map((text) => call({ index: 0, function: { arguments: text } })),
    ],
    finish: (tools, tokens) =>
      data({ choices: [{ index: 0, delta: {}, finish_reason: tools ? 'tool_calls' : 'stop' }] }) +
      (wantsUsage ? data({ choices: [], usage: usage(tokens) }) : '') + 'data: [DONE]\n\n',
    error: (status) => ({ error: { message: `mock error ${status}`, type: 'mock_error', code: null } }),
    errorEvent: (message) => `data: ${JSON.stringify({ error: { message, type: 'server_error' } })}\n\n`,
    whole: (text, thought, tool) => ({
      ...head,
      object: 'chat.completion',
      choices: [{
        index: 0,
        message: {
          role: 'assistant',
          content: text,
          ...(thought ? { reasoning_content: thought } : {}),
          ...(tool
            ? {
              tool_calls: [{
                id: 'call_mock1',
                type: 'function',
                function: { name: tool.name, arguments: JSON.stringify(tool.arguments) },
              }],
            }
            : {}),
        },
        finish_reason: tool ? 'tool_calls' : 'stop',
      }],
      usage: usage(text.split(/\s+/).length),
    }),
  }
}

/** Anthropic Messages: each kind of content is a block with its own index. */
export function anthropicVoice(body: Record<string, unknown>): Voice {
  const event = (type: string, rest: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`
  let index = -1
  let open = ''
  const block = (kind: string, content: object): string => {
    if (open === kind && kind !== 'tool_use') return ''
    const stop = open ? event('content_block_stop', { index }) : ''
    open = kind
    index++
    return stop + event('content_block_start', { index, content_block: { type: kind, ...content } })
  }
  const delta = (value: object): string => event('content_block_delta', { index, delta: value })
  const usage = {
    input_tokens: INPUT_TOKENS - CACHED_TOKENS,
    cache_read_input_tokens: CACHED_TOKENS,
    cache_creation_input_tokens: 0,
  }
  return {
    start: () =>
      event('message_start', {
        message: {
          id: 'msg_mock',
          type: 'message',
          role: 'assistant',
          content: [],
          model: body.model,
          usage: { ...usage, output_tokens: 1 },
        },
      }) + event('ping', {}),
    text: (text) => block('text', { text: '' }) + delta({ type: 'text_delta', text }),
    reasoning: (thinking) => block('thinking', { thinking: '' }) + delta({ type: 'thinking_delta', thinking }),
    tool: (name, args) => [
      block('tool_use', { id: 'toolu_mock1', name, input: {} }),
      ...fragments(JSON.stringify(args)).map((partial_json) => delta({ type: 'input_json_delta', partial_json })),
    ],
    finish: (tools, tokens) =>
      (open ? event('content_block_stop', { index }) : '') +
      event('message_delta', {
        delta: { stop_reason: tools ? 'tool_use' : 'end_turn' },
        usage: { output_tokens: tokens },
      }) +
      event('message_stop', {}),
    error: (status) => ({ type: 'error', error: { type: 'mock_error', message: `mock error ${status}` } }),
    errorEvent: (message) => event('error', { error: { type: 'overloaded_error', message } }),
    whole: (text, thought, tool) => ({
      id: 'msg_mock',
      type: 'message',
      role: 'assistant',
      model: body.model,
      content: [
        ...(thought ? [{ type: 'thinking', thinking: thought }] : []),
        ...(text ? [{ type: 'text', text }] : []),
        ...(tool ? [{ type: 'tool_use', id: 'toolu_mock1', name: tool.name, input: tool.arguments }] : []),
      ],
      stop_reason: tool ? 'tool_use' : 'end_turn',
      usage: { ...usage, output_tokens: text.split(/\s+/).length },
    }),
  }
}
