import type { ToolSpec } from '../../provider.ts'
import { code } from './markdown.ts'
import { offered, type Plan, type Rule } from './rule.ts'

const RUN = new RegExp(
  '^\\/?(?:run|call|use|execute|invoke)\\s+(?:the\\s+)?(tool\\s+)?`?([\\w.-]{1,100})`?(\\s+tool\\b)?' +
    '(?:\\s+(?:with|using)\\b(?:\\s+(?:the\\s+)?(?:input|arguments?|args)\\b)?)?\\s*:?\\s*([\\s\\S]*)$',
  'i',
)

/** The rule that runs any offered tool by its name. */
export const runRule: Rule = {
  id: 'run',
  summary: 'Run a tool by its name (say `list tools` to see them)',
  examples: ['run time.now {"timezone": "Asia/Tokyo"}', 'run tool math.evaluate with {"expression": "2^10"}'],
  match: ({ text }, tools) => {
    const [, before, name = '', after, rest = ''] = RUN.exec(text) ?? []
    const tool = offered(tools, name)
    const bare = rest.trim().replace(/^```\w*\n?|\n?```$/g, '').trim()
    // "… {…} please": what stands behind the object is no part of it.
    const input = bare.startsWith('{') ? bare.slice(0, bare.lastIndexOf('}') + 1) || bare : bare
    // "Run a marathon" is no tool call; "run tool marathon" and "run marathon {…}" are meant as one.
    if (name === '' || (!tool && !before && !after && !input.startsWith('{'))) return undefined
    if (!tool) return { say: unknownTool(name, tools) }
    return call(tool, input)
  },
}

function call(tool: ToolSpec, input: string): Plan {
  if (input === '') return { calls: [{ name: tool.name, arguments: {} }] }
  const given = parseObject(input)
  if (given) return { calls: [{ name: tool.name, arguments: given }] }
  const properties = Object.keys((tool.input_schema.properties ?? {}) as object)
  const takes = properties.length > 0 ? ` It takes ${properties.map(code).join(', ')}.` : ' It takes no input: `{}`.'
  return {
    say: `I did not run ${code(tool.name)}: its input must be a JSON object, such as ` +
      `${code(`run ${tool.name} {"${properties[0] ?? 'name'}": "…"}`)}.${takes}`,
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Not JSON: the answer says what is expected.
  }
  return undefined
}

function unknownTool(name: string, tools: ToolSpec[]): string {
  if (tools.length === 0) return `There is no tool ${code(name)}: no tools are offered in this conversation.`
  const words = name.toLowerCase().split(/[._-]+/)
  const near = tools.filter((tool) => words.some((word) => word.length > 2 && tool.name.toLowerCase().includes(word)))
  const shown = (near.length > 0 ? near : tools).slice(0, 8).map((tool) => code(tool.name))
  return `There is no tool ${code(name)}. ${near.length > 0 ? 'Close to it' : 'There are'}: ${shown.join(', ')}. ` +
    'Say `list tools` to see all.'
}
