import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import type { RunMessage, Session } from '../../shared/sessions.ts'
import { showMessage } from './attach.ts'
import { clean } from './clean.ts'
import { type Command, text } from './command.ts'
import { usage } from './exit-codes.ts'
import { shorten, when } from './output.ts'

const pathOf = (id = ''): string => `/api/sessions/${encodeURIComponent(id)}`

type Found = { session_id: string; title: string | null; role: string; timestamp: number; snippet: string }

/** `gatehouse sessions …`. */
export const sessionCommands: Command[] = [
  {
    name: 'sessions list',
    alias: 'sessions',
    summary: 'Conversations, pinned and newest first',
    options: { limit: { value: 'N', short: 'n', summary: 'How many (50)' } },
    run: async (context) => {
      const { client, out } = context
      const limit = text(context, 'limit') ?? '50'
      const answer = await client.get<{ sessions: Session[]; nextCursor: string | null }>(
        `/api/sessions?limit=${encodeURIComponent(limit)}`,
      )
      out.show(answer, () => {
        const rows = answer.sessions.map((session) => [
          session._live ? '●' : session.pinned ? '*' : '',
          session.session_id,
          when(session.last_active_at),
          session.message_count,
          shorten(session.title ?? '', 60),
        ])
        out.table(
          ['', 'SESSION', 'ACTIVE', 'MESSAGES', 'TITLE'],
          rows,
          'No sessions yet. Begin one with: gatehouse chat',
        )
      })
    },
  },
  {
    name: 'sessions search',
    args: 'TEXT...',
    summary: 'Messages with these words',
    run: async ({ args, client, out }) => {
      const query = new URLSearchParams({ q: args.join(' ') })
      const answer = await client.get<{ results: Found[] }>(`/api/sessions/search?${query}`)
      out.show(answer, () => {
        const rows = answer.results.map((found) => [
          found.session_id,
          when(found.timestamp),
          found.role,
          shorten(found.snippet, 80),
        ])
        out.table(['SESSION', 'WHEN', 'WHO', 'TEXT'], rows, 'Nothing was found.')
      })
    },
  },
  {
    name: 'sessions show',
    args: 'SESSION',
    summary: 'The last messages of a conversation',
    options: { messages: { value: 'N', short: 'n', summary: 'How many (50)' } },
    run: async (context) => {
      const { args, client, out } = context
      const limit = text(context, 'messages') ?? '50'
      const answer = await client.get<{ messages: RunMessage[] }>(
        `${pathOf(args[0])}/messages?limit=${encodeURIComponent(limit)}`,
      )
      out.show(answer, () => answer.messages.forEach((message) => showMessage(message, out)))
    },
  },
  {
    name: 'sessions rename',
    args: 'SESSION TITLE...',
    summary: 'Give a conversation another title',
    run: async ({ args: [id, ...title], client, out }) => {
      const session = await client.send<Session>('PATCH', pathOf(id), { title: title.join(' ') })
      out.show(session, () => out.print(`Renamed to "${shorten(session.title ?? '', 200)}"`))
    },
  },
  {
    name: 'sessions delete',
    args: 'SESSION',
    summary: 'Delete a conversation and its children for good',
    run: async ({ args, client, out }) => {
      const answer = await client.send<{ deleted_count: number }>('DELETE', pathOf(args[0]))
      out.show(answer, () => out.print(`Deleted ${answer.deleted_count} conversation(s)`))
    },
  },
  {
    name: 'sessions export',
    args: 'SESSION [FILE]',
    summary: 'The whole transcript as Markdown, or JSON with --json; to stdout without a file',
    run: async ({ args: [id, file], client, out }) => {
      const response = await client.request('GET', `${pathOf(id)}/export?format=${out.json ? 'json' : 'markdown'}`)
      const transcript = await response.text()
      if (file === undefined) return out.write(process.stdout.isTTY ? clean(transcript) : transcript)
      await writeFile(file, transcript, { flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'EEXIST' ? usage(`${file} is there already`) : usage(error.message)
      })
      out.note(`Wrote ${file}`)
    },
  },
]
