import { type Command, COMMON_OPTIONS, type Option } from './command.ts'
import { EXIT_CODES_HELP } from './exit-codes.ts'

export const help: Command = {
  name: 'help',
  args: '[COMMAND...]',
  summary: 'Explain a command, or the exit codes: gatehouse help exit-codes',
  run: async ({ args, out }) => {
    // The table holds this command too.
    const { commands, findCommand } = await import('./commands.ts')
    if (args.length === 0) return out.write(overview(commands))
    if (args[0] === 'exit-codes') return out.write(EXIT_CODES_HELP)
    const group = commands.filter(({ name }) => name.startsWith(`${args[0]} `))
    out.write(args.length === 1 && group.length > 0 ? listed(group) : explain(findCommand(args).command))
  },
}

/** All commands with one line each. */
export const overview = (commands: Command[]): string =>
  `gatehouse COMMAND

${listed(commands)}
Every command takes --server URL, --token TOKEN, --home FOLDER and --help; every read takes --json.
"gatehouse help COMMAND" tells more, "gatehouse help exit-codes" what the exit codes mean.
`

/** One command with its options. */
export function explain(command: Command): string {
  const parts = [`gatehouse ${signature(command)}`, command.summary, ...(command.details ? [command.details] : [])]
  return `${parts.join('\n\n')}\n\n${optionLines({ ...command.options, ...COMMON_OPTIONS })}`
}

const signature = ({ name, args }: Command): string => args ? `${name} ${args}` : name

function listed(commands: Command[]): string {
  const width = Math.max(...commands.map((command) => signature(command).length))
  return commands.map((command) => `  ${signature(command).padEnd(width)}  ${command.summary}\n`).join('')
}

function optionLines(options: Record<string, Option>): string {
  const rows = Object.entries(options).map(([name, { value, short, summary }]) => ({
    left: `${short ? `-${short}, ` : '    '}--${name}${value ? ` ${value}` : ''}`,
    summary,
  }))
  const width = Math.max(...rows.map(({ left }) => left.length))
  return rows.map(({ left, summary }) => `  ${left.padEnd(width)}  ${summary}\n`).join('')
}
