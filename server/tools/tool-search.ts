import * as v from 'valibot'
import { defineTool } from './define.ts'
import { SEARCH, wireNameOf } from './offer.ts'
import type { Tool } from './tool.ts'

/** Characters of a description in a result; the whole of it comes with the tool. */
const MAX_SHOWN = 200

/** `tool_search`: how a model reaches tools whose descriptions would cost too much to send every time. */
export function searchTool(list: () => readonly Tool[]): Tool {
  return defineTool({
    name: SEARCH,
    description: 'Finds more tools by what they do; only some are listed here. The tools it finds can be called from ' +
      'your next step on.',
    effect: 'read',
    input_schema: {
      type: 'object',
      properties: {
        query: { type: 'string', maxLength: 300, description: 'Words such as "calendar event", or a name' },
        limit: { type: 'integer', minimum: 1, maximum: 20, default: 5 },
      },
      required: ['query'],
      additionalProperties: false,
    },
    input: v.strictObject({
      query: v.pipe(
        v.string('must be text'),
        v.trim(),
        v.minLength(1, 'must not be empty'),
        v.maxLength(300, 'must have at most 300 characters'),
      ),
      limit: v.optional(
        v.pipe(v.number('must be a number'), v.integer('must be a whole number'), v.minValue(1), v.maxValue(20)),
        5,
      ),
    }),
    run: ({ query, limit }) => {
      const tools = list().filter((tool) => tool.name !== SEARCH)
      const words = wordsOf(query)
      const found = tools.map((tool) => ({ tool, score: score(tool, query, words) }))
        .filter((match) => match.score > 0)
        .sort((a, b) => b.score - a.score)
        .slice(0, limit)
        .map(({ tool: { name, description } }) => ({
          name: wireNameOf(name),
          description: description.length > MAX_SHOWN ? `${description.slice(0, MAX_SHOWN)}…` : description,
        }))
      return {
        tools: found,
        searched: tools.length,
        ...(found.length > 0 ? {} : { hint: 'Nothing fits; try other, fewer words.' }),
      }
    },
  })
}

const wordsOf = (text: string): string[] =>
  text.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []

/** A word in the name says more than one in the description, a whole word more than its beginning. */
function score(tool: Tool, query: string, words: string[]): number {
  if (wireNameOf(tool.name) === wireNameOf(query)) return 1000
  const name = wordsOf(tool.name)
  const description = wordsOf(tool.description)
  const hit = (all: string[], word: string): number =>
    all.includes(word) ? 2 : all.some((other) => other.startsWith(stem(word))) ? 1 : 0
  return words.reduce((sum, word) => sum + 3 * hit(name, word) + hit(description, word), 0)
}

/** Enough for the plurals of most languages: "events" finds "event". */
const stem = (word: string): string => word.length > 4 ? word.slice(0, -1) : word
