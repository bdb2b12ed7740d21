import type { CommandInfo, CommandResult } from '../../shared/openagent.ts'
import { clean, cleanLine } from './clean.ts'
import type { Client } from './client.ts'
import type { Output } from './output.ts'

/** What begins with a slash: `/help` and `/exit` are ours, the others are the server's. */
export type SlashCommands = {
  isLeave(text: string): boolean
  /** `/model` is one, the path `/etc/hosts` is not. */
  matches(text: string): boolean
  /** `prepare` makes the session, for a command that the server runs. */
  run(text: string, prepare: () => Promise<void>): Promise<void>
  /** Names that begin so, for the Tab key; those of the server once they are known. */
  complete(start: string): string[]
}

const COMMAND = /^\/([a-z][\w-]*)(?:\s+(.*))?$/is
const LEAVE = ['/exit', '/quit']

/** The server's commands are asked for when the first one is used. */
export function createSlashCommands(client: Client, sessionId: string, out: Output): SlashCommands {
  let known: CommandInfo[] = []

  async function help(): Promise<void> {
    known = (await client.get<{ commands: CommandInfo[] }>('/api/commands')).commands
    const own = [['help', 'This list'], ['exit', 'Leave; the conversation stays']]
    const rows = [
      ...own,
      ...known.filter(({ name, help_visible }) => help_visible && name !== 'help').map((
        { name, description },
      ) => [name, description]),
    ]
    for (const [name, description] of rows) {
      out.print(`  ${cleanLine(`/${name}`).padEnd(12)} ${out.style.dim(cleanLine(description!))}`)
    }
    out.print(out.style.dim('  Ctrl-C stops an answer; twice on an empty line leaves'))
  }

  return {
    isLeave: (text) => LEAVE.includes(text.toLowerCase()),
    matches: (text) => COMMAND.test(text),
    complete: (start) =>
      start.startsWith('/')
        ? ['/help', ...LEAVE, ...known.map(({ name }) => `/${name}`)].filter((name) => name.startsWith(start))
        : [],
    async run(text, prepare) {
      const [, name = '', arg = ''] = COMMAND.exec(text) ?? []
      if (name.toLowerCase() === 'help') return help()
      const path = `/api/commands/${encodeURIComponent(name.toLowerCase())}`
      await prepare()
      const result = await client.send<CommandResult>('POST', path, { session_id: sessionId, arg })
      out.print(clean(result.text))
      for (const { value, label, subtitle = '', active } of result.picker?.options ?? []) {
        out.print(`${active ? '*' : ' '} ${cleanLine(value)}  ${out.style.dim(cleanLine(`${label} ${subtitle}`))}`)
      }
    },
  }
}
