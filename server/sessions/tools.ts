import * as v from 'valibot'
import { defineTool } from '../tools/define.ts'
import type { Tool } from '../tools/tool.ts'
import type { Sessions } from './service.ts'

const SearchInput = v.object({
  query: v.pipe(v.string(), v.minLength(1), v.maxLength(200)),
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(50)), 10),
})

/** What a model may do with past conversations. */
export const sessionTools = (sessions: Pick<Sessions, 'search'>): Tool[] => [defineTool({
  name: 'sessions.search',
  description: 'Full-text search over past conversations. Returns the session, who spoke, when, and the passage.',
  effect: 'read',
  input_schema: {
    type: 'object',
    properties: {
      query: { type: 'string', description: 'Words to find; all must occur' },
      limit: { type: 'integer', minimum: 1, maximum: 50, description: 'Most results, 10 by default' },
    },
    required: ['query'],
    additionalProperties: false,
  },
  input: SearchInput,
  async run({ query, limit }, { caller, session_id }) {
    const found = await sessions.search(caller, query, limit + 5)
    const results = found.filter((result) => result.session_id !== session_id).slice(0, limit).map((result) => ({
      session_id: result.session_id,
      title: result.title,
      role: result.role,
      at: new Date(result.timestamp * 1000).toISOString(),
      // oxlint-disable-next-line no-control-regex
      passage: result.snippet.replace(/[\x02\x03]/g, ''),
    }))
    return { results }
  },
})]
