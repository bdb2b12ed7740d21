import process from 'node:process'
import type { RunMessage } from '../../shared/sessions.ts'
import { talk } from './chat.ts'
import { clean, cleanLine, safeJson } from './clean.ts'
import type { Command, Context } from './command.ts'
import { EXIT, usage } from './exit-codes.ts'
import { follow } from './follow.ts'
import type { Output } from './output.ts'
import { createSessionClient } from './session-client.ts'

const MESSAGES_SHOWN = 10

export const attach: Command = {
  name: 'attach',
  args: 'SESSION',
  summary: 'Join a session: what was said last, then everything as it happens; typing sends',
  details: 'With --json, prints the events of the session as JSON lines and reads nothing; --after N begins there.',
  options: {
    messages: { value: 'N', short: 'n', summary: `Messages to show first (${MESSAGES_SHOWN})` },
    after: { value: 'OFFSET', summary: 'With --json, begin after this event' },
    reasoning: { summary: 'Show what the model thinks' },
  },
  run: async (context) => {
    const { args: [id = ''], client, out } = context
    const wanted = number(context, 'messages', MESSAGES_SHOWN)
    const { messages, offset, isOpen } = await createSessionClient(client, id).tail(Math.max(wanted, 1))
    if (out.json) return printEvents(context, id, number(context, 'after', offset))
    for (const message of wanted > 0 ? messages : []) showMessage(message, out)
    out.print(out.style.dim(`session ${cleanLine(id)} · /help for help`))
    return talk(context, id, { from: { offset, isOpen } })
  },
}

/** One message of a transcript. */
export function showMessage(message: RunMessage, out: Output): void {
  const { cyan, dim, red } = out.style
  if (message.role === 'user') {
    const who = message.author?.display ?? message.author?.handle ?? 'you'
    out.print(`${cyan(`${cleanLine(who)}>`)} ${clean(message.text)}`)
  } else if (message.role === 'tool') {
    const failed = message.toolInfo?.tool_call_error === true
    out.print(`${failed ? red('✗') : dim('✓')} ${dim(cleanLine(message.toolInfo?.tool_name ?? 'tool'))}`)
  } else if (message.text !== '') out.print(clean(message.text))
  if (message.error) out.print(red(cleanLine(message.error.message)))
}

async function printEvents({ client, out }: Context, id: string, after: number): Promise<number> {
  const leaving = new AbortController()
  const onSignal = (): void => leaving.abort()
  process.once('SIGINT', onSignal)
  try {
    const onConnection = (): void => undefined
    for await (const event of follow(client, id, { after, signal: leaving.signal, onConnection })) {
      out.print(safeJson(event))
    }
    return EXIT.interrupted
  } finally {
    process.off('SIGINT', onSignal)
  }
}

function number({ flags }: Context, name: string, fallback: number): number {
  const value = flags[name]
  if (value === undefined) return fallback
  if (!/^\d{1,15}$/.test(String(value))) throw usage(`--${name} must be a whole number`)
  return Number(value)
}
