import type { Command } from '$lib/api/sessions.ts'
import type { McpContents, McpPromptContent, McpPromptMessage } from '$lib/api/mcp.ts'
import type { McpPrompt } from '$shared/mcp.ts'

/** A prompt of an MCP server as a slash entry. */
export type PromptCommand = Command & { prompt: McpPrompt }

export const isPrompt = (command: Command): command is PromptCommand => 'prompt' in command

/** `/server:prompt`; what may not stand in a word is a dash. */
export const promptCommands = (prompts: readonly McpPrompt[]): PromptCommand[] =>
  prompts.map((prompt) => ({
    name: `${prompt.server}:${prompt.name}`.replace(/\s+/g, '-'),
    description: prompt.description || prompt.title || 'Prompt of an MCP server',
    prompt,
  }))

/** A filled-in prompt as a draft: its words, and what it carries along as files. */
export function draftOf(messages: readonly McpPromptMessage[]): { text: string; files: File[] } {
  const parts = messages.flatMap(({ role, content }) => {
    const text = textOf(content)
    if (text === '') return []
    // One message is what the person says; a dialogue keeps who says what.
    return messages.length > 1 && role === 'assistant' ? [`Assistant: ${text}`] : [text]
  })
  return { text: parts.join('\n\n'), files: messages.flatMap(({ content }) => filesOf(content)) }
}

function textOf(content: McpPromptContent): string {
  if (content.type === 'text') return content.text
  return content.type === 'resource_link' ? content.uri : ''
}

function filesOf(content: McpPromptContent): File[] {
  if (content.type === 'resource') return [fileOf(content.resource)]
  if (content.type !== 'image' && content.type !== 'audio') return []
  return [new File([bytesOf(content.data)], nameFor(content.type, content.mimeType), { type: content.mimeType })]
}

/** What was read as a file to attach. Its name comes from outside, so only the last part of it counts. */
export function fileOf({ uri, mimeType, text, blob }: McpContents): File {
  const type = mimeType ?? (text === undefined ? 'application/octet-stream' : 'text/plain')
  return new File([blob === undefined ? text ?? '' : bytesOf(blob)], nameFor(lastPart(uri), type), { type })
}

const EXTENSIONS: Record<string, string> = {
  'text/plain': 'txt',
  'text/markdown': 'md',
  'text/html': 'html',
  'text/csv': 'csv',
  'application/json': 'json',
  'application/pdf': 'pdf',
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/gif': 'gif',
  'image/webp': 'webp',
  'audio/wav': 'wav',
  'audio/mpeg': 'mp3',
}

function nameFor(name: string, type: string): string {
  const extension = EXTENSIONS[type.split(';')[0]!]
  return /\.\w{1,8}$/.test(name) || !extension ? name : `${name}.${extension}`
}

function lastPart(uri: string): string {
  const part = uri.split(/[?#]/)[0]!.split('/').findLast((piece) => piece !== '') ?? ''
  try {
    return decodeURIComponent(part).replace(/[/\\:]/g, '-') || 'resource'
  } catch {
    return part
  }
}

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
