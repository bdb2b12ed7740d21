import { createHash } from 'node:crypto'
import type { ListedPrompt, ListedTool } from './connect.ts'
import type { McpDefinition, McpPromptDefinition, StoredMcpTool } from './store.ts'

const MAX_NAME = 128
const MAX_TITLE = 200
/** A description goes to the model with every message. */
const MAX_DESCRIPTION = 4000
const MAX_SCHEMA = 32_768
const MAX_PROMPTS = 100
const MAX_ARGUMENTS = 30
/** People read it in a menu. */
const MAX_PROMPT_TEXT = 500

/** Order and spelling of keys do not count: only what is said. */
export function hashOf(definition: McpDefinition): string {
  return createHash('sha256').update(canonical(definition)).digest('hex')
}

/**
 * The new list of a server's tools beside what was known. What the owner decided stays; a tool that says something else
 * than when it was accepted keeps what was accepted next to it, and one that turned up later was never accepted.
 * The very first list is accepted as it is: the owner has just added this server.
 */
export function learnTools(
  server: string,
  listed: ListedTool[],
  known: StoredMcpTool[],
  first: boolean,
): { tools: StoredMcpTool[]; refused: string[] } {
  const tools = new Map<string, StoredMcpTool>()
  const refused: string[] = []
  for (const tool of listed) {
    const definition = definitionOf(tool)
    if (!definition || tools.has(tool.name)) {
      refused.push(tool.name.slice(0, MAX_NAME))
      continue
    }
    const hash = hashOf(definition)
    const before = known.find(({ name }) => name === tool.name)
    tools.set(tool.name, {
      server,
      name: tool.name,
      definition,
      hash,
      accepted: before ? before.accepted : first ? definition : null,
      accepted_hash: before ? before.accepted_hash : first ? hash : null,
      enabled: before?.enabled ?? true,
      effect: before?.effect ?? null,
    })
  }
  return { tools: [...tools.values()], refused }
}

export const isChanged = (tool: StoredMcpTool): boolean => tool.accepted_hash !== tool.hash

/** Prompts as a menu can show them; what has no usable name is left out. */
export const promptsOf = (listed: ListedPrompt[]): McpPromptDefinition[] =>
  listed.filter(({ name }) => name !== '' && name.length <= MAX_NAME).slice(0, MAX_PROMPTS).map((prompt) => ({
    name: prompt.name,
    title: clean(prompt.title ?? '').slice(0, MAX_TITLE) || null,
    description: clean(prompt.description ?? '').slice(0, MAX_PROMPT_TEXT),
    arguments: (prompt.arguments ?? []).filter(({ name }) => name.length <= MAX_NAME).slice(0, MAX_ARGUMENTS).map(
      (argument) => ({
        name: argument.name,
        description: clean(argument.description ?? '').slice(0, MAX_PROMPT_TEXT),
        required: argument.required === true,
      }),
    ),
  }))

/** Undefined for what no model could use: names and schemas without measure. */
function definitionOf(tool: ListedTool): McpDefinition | undefined {
  const schema = tool.inputSchema
  if (tool.name === '' || tool.name.length > MAX_NAME) return undefined
  if (JSON.stringify(schema).length > MAX_SCHEMA) return undefined
  const description = clean(tool.description ?? '')
  return {
    title: clean(tool.title ?? String(tool.annotations?.title ?? '')).slice(0, MAX_TITLE) || null,
    description: description.length > MAX_DESCRIPTION ? `${description.slice(0, MAX_DESCRIPTION)}…` : description,
    input_schema: cleaned(schema) as Record<string, unknown>,
    annotations: Object.fromEntries(
      Object.entries(tool.annotations ?? {}).filter(([, value]) => typeof value === 'boolean'),
    ),
  }
}

/**
 * Without characters that hide text from people while a model still reads it: all that are drawn as nothing, but for
 * the one that makes an emoji coloured.
 */
export const clean = (text: string): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(/(?!\ufe0f)[\p{Default_Ignorable_Code_Point}\u0000-\u0008\u000b-\u001f\u007f\u2066-\u2069]/gu, '')

/** A schema whose words for the model are clean; names and values, which a call needs as they are, stay. */
function cleaned(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(cleaned)
  if (typeof schema !== 'object' || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      typeof value === 'string' && /^(description|title|\$comment)$/.test(key) ? clean(value) : cleaned(value),
    ]),
  )
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, item]) => item !== undefined).sort(([a], [b]) => a < b ? -1 : 1)
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join()}}`
}
