import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ModelEvent } from '../models/provider.ts'
import { type Answer, scripted } from '../models/providers/scripted.ts'

/** An endpoint on this machine that gives one answer after the other as chat completions; a failure is a refused key. */
export async function startUpstream(answers: Answer[]): Promise<{ url: string; close(): Promise<void> }> {
  const model = scripted(answers)
  const server = createServer(async (request, response) => {
    request.resume()
    if (request.method !== 'POST') {
      response.writeHead(200, { 'content-type': 'application/json' })
      return response.end(JSON.stringify({ object: 'list', data: [{ id: 'example' }] }))
    }
    response.setHeader('content-type', 'text/event-stream')
    // The answers of the examples do not depend on the question.
    const asked = { model: 'example', messages: [{ role: 'user' as const, content: [] }] }
    for await (const event of model.stream(asked, new AbortController().signal)) {
      if (event.type === 'failed') response.statusCode = 401
      else say(response, event)
    }
    response.end(response.statusCode === 200 ? 'data: [DONE]\n\n' : 'This key has expired')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function say(response: ServerResponse, event: Exclude<ModelEvent, { type: 'failed' }>): void {
  const send = (choice: Record<string, unknown>, more: Record<string, unknown> = {}) =>
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, ...choice }], ...more })}\n\n`)
  if (event.type === 'text') send({ delta: { content: event.delta } })
  if (event.type === 'reasoning') send({ delta: { reasoning_content: event.delta } })
  if (event.type === 'tool_call') {
    const called = { name: event.name, arguments: JSON.stringify(event.arguments) }
    send({ delta: { tool_calls: [{ index: 0, id: event.call_id, type: 'function', function: called }] } })
  }
  if (event.type === 'finish') {
    const { input_tokens, output_tokens } = event.usage
    const usage = { prompt_tokens: input_tokens, completion_tokens: output_tokens }
    send({ delta: {}, finish_reason: event.reason }, { usage })
  }
}
