import type { Message, SessionRow, SessionStore } from './store.ts'
import { toRunMessage } from './store.ts'

export type ExportFormat = 'markdown' | 'json'

const PAGE = 500

/** The whole transcript as one document. */
export async function exportSession(store: SessionStore, session: SessionRow, format: ExportFormat): Promise<string> {
  const messages: Message[] = []
  for (let before: number | undefined;;) {
    const page = await store.messages(session.sid, { limit: PAGE, before, from: session.visible_from })
    messages.unshift(...page)
    before = page[0]?.mid
    if (page.length < PAGE) break
  }
  if (format === 'json') {
    const { id, title, model, created_at } = session
    return JSON.stringify(
      { session_id: id, title, model, created_at: created_at / 1000, messages: messages.map(toRunMessage) },
      null,
      2,
    )
  }
  const head = `# ${session.title ?? session.id}\n\n${new Date(session.created_at).toISOString()}\n`
  return [head, ...messages.map(toMarkdown)].join('\n') + '\n'
}

function toMarkdown({ role, text, data, at }: Message): string {
  const time = new Date(at).toISOString().replace('T', ' ').slice(0, 16)
  if (role === 'compaction') return `---\n\n*Older messages were summarised here for the model.*\n`
  if (role === 'tool' && data.tool) {
    const call = `${data.tool.tool_name}(${JSON.stringify(data.tool.tool_args)})`
    return `<details><summary>Tool: ${escapeHtml(data.tool.tool_name)}</summary>\n\n${fenced(call)}\n\n${
      fenced(text)
    }\n\n</details>\n`
  }
  const files = (data.attachments ?? []).map((file) => `- ${file.filename}`).join('\n')
  const who = role === 'user' ? data.author?.display ?? 'You' : data.model ?? 'Assistant'
  return `## ${who} (${time})\n\n${text}\n${files ? `\n${files}\n` : ''}`
}

/** A fence longer than any inside, so that what a tool said can't close it. */
function fenced(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}\n${text}\n${fence}`
}

const escapeHtml = (text: string): string => text.replace(/[<>&]/g, (char) => `&#${char.charCodeAt(0)};`)
