import * as v from 'valibot'
import { AppError } from '../errors.ts'
import type { Tool, ToolContext } from '../tools/tool.ts'
import { shownHit, type WebHit } from './search.ts'

/** Names under which tools take how many results are wanted. */
const COUNTS = ['count', 'limit', 'max_results', 'num_results', 'maxResults', 'numResults']

const Answer = v.object({
  results: v.array(
    v.looseObject({
      title: v.optional(v.string(), ''),
      url: v.string(),
      snippet: v.nullish(v.string()),
      content: v.nullish(v.string()),
      description: v.nullish(v.string()),
    }),
  ),
})

/**
 * Searches with a tool of a plugin or an MCP server that the owner named. Results that it gives as such are brought into
 * our shape; what it says otherwise is handed on as its text.
 */
export async function searchWithTool(
  find: (name: string) => Tool | undefined,
  name: string | undefined,
  { query, limit }: { query: string; limit: number },
  context: ToolContext,
): Promise<{ results: WebHit[] } | { text: string }> {
  if (name === undefined) {
    throw new AppError('unavailable', 'tools.web.search is "tool"; name the tool in tools.web.search_tool')
  }
  const tool = find(name)
  const source = `tools.web.search_tool names ${name}`
  if (!tool) {
    throw new AppError('unavailable', `${source}, which is not there now. Start what offers it, or name another.`)
  }
  if (tool.name === 'web.search') throw new AppError('unavailable', `${source}, which asks for this setting itself`)
  if (tool.effect !== 'read' || tool.ask !== undefined) {
    throw new AppError('unavailable', `${source}, which does more than read. Rate it as reading, or name another.`)
  }
  const properties = (tool.input_schema.properties ?? {}) as Record<string, unknown>
  const word = 'query' in properties || !('q' in properties) ? 'query' : 'q'
  const count = COUNTS.find((candidate) => candidate in properties)
  const output = await tool.run({ [word]: query, ...(count ? { [count]: limit } : {}) }, context)
  if (!output.ok) throw new AppError('bad_gateway', `${name} could not search: ${output.text.slice(0, 500)}`)
  const results = resultsIn(output.text)
  return results ? { results } : { text: output.text }
}

function resultsIn(text: string): WebHit[] | undefined {
  try {
    const { results } = v.parse(Answer, JSON.parse(text))
    return results.flatMap(({ title, url, snippet, content, description }) =>
      shownHit(title, url, snippet ?? content ?? description ?? '')
    )
  } catch {
    return undefined
  }
}
