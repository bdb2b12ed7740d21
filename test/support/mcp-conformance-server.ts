/** Our door for MCP clients with the tools, resources and prompts that the conformance suite of the protocol wants. */
import { setTimeout as pause } from 'node:timers/promises'
import type {
  CallToolResult,
  PromptMessage,
  ReadResourceResult,
  Tool as McpTool,
} from '@modelcontextprotocol/sdk/types.js'
import { CreateMessageResultSchema, ElicitResultSchema } from '@modelcontextprotocol/sdk/types.js'
import { Hono } from 'hono'
import type { Caller } from '../../server/auth/principal.ts'
import { AppError } from '../../server/errors.ts'
import type { AppEnv } from '../../server/http/env.ts'
import { createGuard } from '../../server/http/guard.ts'
import { peerOf } from '../../server/http/peer.ts'
import { createEndpoint, type EndpointLimits } from '../../server/mcp-server/endpoint.ts'
import type { CallContext, Features } from '../../server/mcp-server/features.ts'
import { mcpServerRoutes } from '../../server/mcp-server/routes.ts'
import { currentRuntime } from '../../server/runtime/current.ts'

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA='

const text = (words: string): CallToolResult => ({ content: [{ type: 'text', text: words }] })
const image = { type: 'image' as const, data: PNG, mimeType: 'image/png' }

type Fixture = {
  schema?: McpTool['inputSchema']
  run(args: Record<string, unknown>, context: CallContext): CallToolResult | Promise<CallToolResult>
}

async function elicit(context: CallContext, message: string, properties: Record<string, unknown>, required?: string[]) {
  if (!context.elicits) throw new AppError('conflict', 'The client can not ask anybody')
  const requestedSchema = { type: 'object' as const, properties, ...(required ? { required } : {}) }
  const params = { mode: 'form' as const, message, requestedSchema } as never
  return await context.extra.sendRequest({ method: 'elicitation/create', params }, ElicitResultSchema)
}

const TOOLS: Record<string, Fixture> = {
  test_simple_text: { run: () => text('This is a simple text response for testing.') },
  test_image_content: { run: () => ({ content: [image] }) },
  test_audio_content: { run: () => ({ content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }] }) },
  test_embedded_resource: {
    run: () => ({
      content: [{
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      }],
    }),
  },
  test_multiple_content_types: {
    run: () => ({
      content: [
        { type: 'text', text: 'Multiple content types test:' },
        image,
        {
          type: 'resource',
          resource: {
            uri: 'test://mixed-content-resource',
            mimeType: 'application/json',
            text: '{"test":"data","value":123}',
          },
        },
      ],
    }),
  },
  test_tool_with_logging: {
    async run(_, context) {
      for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await context.log('info', data)
        await pause(50)
      }
      return text('Logged.')
    },
  },
  test_error_handling: {
    run: () => ({ ...text('This tool intentionally returns an error for testing'), isError: true }),
  },
  test_tool_with_progress: {
    async run(_, { extra }) {
      const progressToken = extra._meta?.progressToken
      for (const progress of [0, 50, 100]) {
        if (progressToken !== undefined) {
          const params = { progressToken, progress, total: 100 }
          await extra.sendNotification({ method: 'notifications/progress', params })
        }
        await pause(50)
      }
      return text('Done.')
    },
  },
  test_sampling: {
    schema: { type: 'object', properties: { prompt: { type: 'string' } }, required: ['prompt'] },
    async run({ prompt }, { extra }) {
      const content = { type: 'text' as const, text: String(prompt) }
      const params = { messages: [{ role: 'user' as const, content }], maxTokens: 100 }
      const result = await extra.sendRequest({ method: 'sampling/createMessage', params }, CreateMessageResultSchema)
      return text(`LLM response: ${result.content.type === 'text' ? result.content.text : ''}`)
    },
  },
  test_elicitation: {
    schema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    async run({ message }, context) {
      const { action, content } = await elicit(context, String(message), {
        username: { type: 'string', description: "User's response" },
        email: { type: 'string', description: "User's email address" },
      }, ['username', 'email'])
      return text(`User response: action: ${action}, content: ${JSON.stringify(content)}`)
    },
  },
  test_elicitation_sep1034_defaults: {
    async run(_, context) {
      const { action, content } = await elicit(context, 'Please check', {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
      })
      return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`)
    },
  },
  test_elicitation_sep1330_enums: {
    async run(_, context) {
      const options = ['option1', 'option2', 'option3']
      const titled = (word: string) =>
        ['First', 'Second', 'Third'].map((name, i) => ({ const: `value${i + 1}`, title: `${name} ${word}` }))
      const { action, content } = await elicit(context, 'Please choose', {
        untitledSingle: { type: 'string', enum: options },
        titledSingle: { type: 'string', oneOf: titled('Option') },
        legacyEnum: {
          type: 'string',
          enum: ['opt1', 'opt2', 'opt3'],
          enumNames: ['Option One', 'Option Two', 'Option Three'],
        },
        untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
        titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
      })
      return text(`Elicitation completed: action=${action}, content=${JSON.stringify(content)}`)
    },
  },
  test_reconnection: {
    async run(_, { extra }) {
      extra.closeSSEStream?.()
      await pause(100)
      return text('Reconnected.')
    },
  },
  json_schema_2020_12_tool: {
    schema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: { type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } },
      },
      properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' } },
      additionalProperties: false,
    },
    run: () => text('Kept.'),
  },
}

const RESOURCES = ['static-text', 'static-binary', 'watched-resource', 'example-resource'].map((name) => ({
  uri: `test://${name}`,
  name,
  description: `The resource ${name}`,
}))

function read(uri: string): ReadResourceResult {
  const id = /^test:\/\/template\/(.+)\/data$/.exec(uri)?.[1]
  if (id !== undefined) {
    const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` })
    return { contents: [{ uri, mimeType: 'application/json', text: data }] }
  }
  if (uri === 'test://static-binary') return { contents: [{ uri, mimeType: 'image/png', blob: PNG }] }
  return { contents: [{ uri, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }] }
}

const says = (words: string): PromptMessage => ({ role: 'user', content: { type: 'text', text: words } })

const PROMPTS: Record<string, { needs: string[]; write(args: Record<string, string>): PromptMessage[] }> = {
  test_simple_prompt: { needs: [], write: () => [says('This is a simple prompt for testing.')] },
  test_prompt_with_arguments: {
    needs: ['arg1', 'arg2'],
    write: ({ arg1, arg2 }) => [says(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  },
  test_prompt_with_embedded_resource: {
    needs: ['resourceUri'],
    write: ({ resourceUri }) => [
      {
        role: 'user',
        content: {
          type: 'resource',
          resource: { uri: resourceUri!, mimeType: 'text/plain', text: 'Embedded resource content for testing.' },
        },
      },
      says('Please process the embedded resource above.'),
    ],
  },
  test_prompt_with_image: {
    needs: [],
    write: () => [{ role: 'user', content: image }, says('Please analyze the image above.')],
  },
}

const features: Features = {
  instructions: 'Fixtures of the conformance suite.',
  tools: () =>
    Object.entries(TOOLS).map(([name, { schema }]) => ({
      name,
      description: `The fixture ${name}`,
      inputSchema: schema ?? { type: 'object', properties: {} },
    })),
  call: async ({ name, arguments: args = {} }, context) => {
    const tool = TOOLS[name]
    if (!tool) throw new AppError('not_found', `tool ${name} was not found`)
    return await tool.run(args, context)
  },
  resources: () => Promise.resolve({ resources: RESOURCES }),
  templates: [{ name: 'template', uriTemplate: 'test://template/{id}/data', description: 'By id' }],
  read: (_, uri) => Promise.resolve(read(uri)),
  prompts: Object.entries(PROMPTS).map(([name, { needs }]) => ({
    name,
    description: `The fixture ${name}`,
    arguments: needs.map((argument) => ({ name: argument, description: argument, required: true })),
  })),
  prompt: (_, { name, arguments: args = {} }) => Promise.resolve({ messages: PROMPTS[name]!.write(args) }),
  complete: (_, { argument }) => Promise.resolve({ values: [`${argument.value}ing`], total: 1, hasMore: false }),
}

/** Listens on a free port; whoever comes is the owner, for the suite brings no credential. */
export async function conformanceServer(limits: Partial<EndpointLimits> = {}) {
  const silent = () => {}
  const silence = { debug: silent, info: silent, warn: silent, error: console.error }
  const endpoint = createEndpoint({ features, version: '0', log: silence, now: Date.now, ...limits })
  const caller: Caller = { kind: 'key', handle: 'owner', id: 'suite', name: 'Suite', scopes: new Set(['admin']) }
  const guard = createGuard({
    allowedHosts: () => [],
    trustedProxies: () => [],
    corsOrigins: () => [],
    methodsOf: () => [],
  })
  const app = new Hono<AppEnv>()
    .use(guard.middleware, async (c, next) => {
      c.set('caller', caller)
      await next()
    })
    .route(
      '/',
      mcpServerRoutes({ handle: endpoint.handle, stop: endpoint.close }, {
        peer: (c) => peerOf(c.req.raw, '', []),
        base: (c) => new URL(c.req.url).origin,
        corsOrigins: () => [],
        program: { command: '', args: [] },
      }),
    )
  const runtime = await currentRuntime()
  const listening = await runtime.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request, info) => app.fetch(request, info),
    upgrade: () => Promise.resolve(new Response(null, { status: 404 })),
  })
  return {
    url: `http://127.0.0.1:${listening.port}/mcp`,
    sessions: endpoint.count,
    async close(): Promise<void> {
      await endpoint.close()
      await listening.stop(500)
    },
  }
}
