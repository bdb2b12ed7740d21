import { approvalCommands } from './approvals.ts'
import { attach } from './attach.ts'
import { auditCommands } from './audit.ts'
import { channelCommands } from './channels.ts'
import { chat } from './chat.ts'
import type { Command } from './command.ts'
import { completions } from './completions.ts'
import { configCommands } from './config.ts'
import { doctor } from './doctor.ts'
import { usage } from './exit-codes.ts'
import { help } from './help.ts'
import { keyCommands } from './keys.ts'
import { loginLink } from './login-link.ts'
import { logs } from './logs.ts'
import { mcp } from './mcp.ts'
import { modelCommands } from './models.ts'
import { pairingCommands } from './pairings.ts'
import { pluginCommands } from './plugins.ts'
import { pluginsTest } from './plugins-test.ts'
import { serveCommand } from './serve-command.ts'
import { sessionCommands } from './sessions.ts'
import { status } from './status.ts'
import { stop } from './stop.ts'
import { version } from './version.ts'

/** Every command; parsing, help and completions are made from this. */
export const commands: Command[] = [
  serveCommand,
  status,
  stop,
  doctor,
  logs,
  chat,
  attach,
  ...sessionCommands,
  ...approvalCommands,
  ...modelCommands,
  mcp,
  ...configCommands,
  ...keyCommands,
  ...auditCommands,
  ...channelCommands,
  ...pairingCommands,
  ...pluginCommands,
  pluginsTest,
  loginLink,
  help,
  completions,
  version,
]

/** The command that the words begin with, the longest name first, and the words after it. */
export function findCommand(words: string[]): { command: Command; rest: string[] } {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ')
    const command = commands.find((row) => row.name === name || row.alias === name)
    const isWrongVerb = command?.alias === name && !command.args && /^[a-z]/.test(words[length] ?? '')
    if (command && !isWrongVerb) return { command, rest: words.slice(length) }
  }
  const inGroup = commands.filter((row) => row.name.startsWith(`${words[0]} `)).map((row) => row.name.split(' ')[1])
  if (inGroup.length > 0) throw usage(`"gatehouse ${words[0]}" wants one of ${inGroup.join(', ')}`)
  throw usage(`There is no command "${words[0]}". See: gatehouse help`)
}
