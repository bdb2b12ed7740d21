import { MAX_TEXT } from '../../shared/sessions.ts'
import type { AskRow, InboxRow } from './inbox-store.ts'
import { chatKind } from './session-key.ts'
import { beginning } from './split.ts'

/** What a message says, in words; undefined for what can't be said so. */
export function wordsOf(content: { type: string } & Record<string, unknown>): string | undefined {
  switch (content.type) {
    case 'text':
      return String(content.text)
    case 'media':
      return String(content.caption ?? '')
    case 'location':
      return `[location: ${content.latitude}, ${content.longitude}]`
    case 'contact':
      return `[contact: ${line(String(content.name))}, ${line(String(content.phone))}]`
  }
}

/** The name that stands before somebody's words in a group: nothing that could pass for another line or speaker. */
export function labelOf(
  sender: { id: string; username?: string | undefined; display_name?: string | undefined },
): string {
  const name = [sender.display_name, sender.username, sender.id].map((text) => line(text ?? '')).find(Boolean)
  return name ?? 'somebody'
}

/** On one line, with nothing in it that is not seen. */
const line = (text: string): string =>
  beginning(text.replace(/\p{Cf}+/gu, '').replace(/[\s\p{Cc}]+/gu, ' ').replaceAll(':', '').trim(), 60)

/** Whatever begins a line in some program. */
const LINE_BREAK = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/g

/**
 * The text of one question: in a group each message with the name of who wrote it, and before them the talk that the
 * agent was not asked about. `quotes` are the texts that messages answer, by the id of the row.
 */
export function askText(ask: AskRow, rows: readonly InboxRow[], quotes: ReadonlyMap<number, string>): string {
  const direct = chatKind(ask.chat_type) === 'dm'
  const said = (row: InboxRow): string => {
    const quoted = quotes.get(row.id)
    const text = quoted === undefined ? row.text : `[in reply to: "${shortened(quoted)}"]\n${row.text}`
    // Only a real speaker stands at the beginning of a line.
    return direct ? text : `${row.sender_name}: ${text.replace(LINE_BREAK, '\n  ')}`
  }
  const talk = rows.filter((row) => row.state !== 'turn').map(said)
  const asked = rows.filter((row) => row.state === 'turn').map(said).join('\n')
  const text = talk.length === 0
    ? asked
    : `[Said before in this chat, not to you:]\n${talk.join('\n')}\n[Said to you:]\n${asked}`
  return text.length > MAX_TEXT ? text.slice(text.length - MAX_TEXT) : text
}

function shortened(text: string): string {
  const plain = text.replace(/\s+/g, ' ').replaceAll('"', "'").trim()
  return plain.length > 300 ? `${beginning(plain, 300)}…` : plain
}
