import process from 'node:process'
import { text as readAll } from 'node:stream/consumers'
import { ulid } from 'ulid'
import { type Command, type Context, text } from './command.ts'
import { converse } from './conversation.ts'
import { usage } from './exit-codes.ts'
import { readHistory, writeHistory } from './history.ts'
import { createLines } from './lines.ts'
import { askOnce } from './one-shot.ts'
import { createSessionClient } from './session-client.ts'
import { createSlashCommands } from './slash-commands.ts'
import { createTurnView } from './turn-view.ts'

export const chat: Command = {
  name: 'chat',
  args: '[TEXT...]',
  summary: 'Talk to the agent; with a text, or text on stdin, ask once and print the answer',
  details: `Without a text on a terminal, a conversation begins: Ctrl-C stops an answer, /help lists the commands, and
Ctrl-D or /exit leaves. The conversation stays; "gatehouse attach SESSION" goes on with it.

With a text, or with something on stdin, the answer goes to stdout and everything else to stderr:

  git diff | gatehouse chat "Write a commit message"`,
  options: {
    session: { value: 'ID', short: 's', summary: 'Continue this session; made when it is unknown' },
    model: { value: 'MODEL', short: 'm', summary: 'Answer with this model, such as openai:gpt-5' },
    interactive: { short: 'i', summary: 'Read messages line by line, also from a pipe' },
    reasoning: { summary: 'Show what the model thinks' },
  },
  run: async (context) => {
    const { args, client, flags, out } = context
    const session = createSessionClient(client, text(context, 'session') ?? `cli:${ulid().toLowerCase()}`)
    const model = text(context, 'model')
    const interactive = flags.interactive === true || (args.length === 0 && process.stdin.isTTY === true)
    if (!interactive) {
      const question = await questionOf(args)
      const view = createTurnView({ out, notesAside: true, reasoning: flags.reasoning === true })
      return askOnce({ client, session, text: question, model, view, out })
    }
    if (out.json) throw usage('--json needs a text: gatehouse chat --json "Hello"')
    // Says at once when there is no server or no right to it, and not after the first message was typed.
    await client.get('/api/auth/me')
    if (args.length > 0) throw usage('With --interactive the messages come from stdin')
    out.print(out.style.dim(`session ${session.id} · /help for help`))
    return talk(context, session.id, { model })
  },
}

/** A conversation with its history of lines; shared with `attach`. */
export async function talk(
  { client, env, flags, out }: Context,
  sessionId: string,
  more: { model?: string | undefined; from?: { offset: number; isOpen: boolean } },
): Promise<number> {
  const history = await readHistory(env)
  const commands = createSlashCommands(client, sessionId, out)
  try {
    return await converse({
      client,
      session: createSessionClient(client, sessionId),
      lines: createLines({ history, complete: commands.complete }),
      view: createTurnView({ out, notesAside: false, reasoning: flags.reasoning === true }),
      out,
      commands,
      ...more,
    })
  } finally {
    await writeHistory(env, history)
  }
}

/** The words of the command line, then what stands on stdin unless that is a terminal. */
async function questionOf(args: string[]): Promise<string> {
  const piped = process.stdin.isTTY === true ? '' : await readAll(process.stdin)
  const question = [args.join(' '), piped.trim()].filter(Boolean).join('\n\n')
  if (question === '') throw usage('There is no text to send')
  return question
}
