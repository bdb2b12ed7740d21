import process from 'node:process'
import { parseArgs } from 'node:util'
import type { Environment } from '../config/environment.ts'
import { homeOf } from '../config/home.ts'

import { createClient } from './client.ts'
import { type Command, COMMON_OPTIONS, text } from './command.ts'
import { commands, findCommand } from './commands.ts'
import { CliError, EXIT, usage } from './exit-codes.ts'
import { explain, overview } from './help.ts'
import { createOutput } from './output.ts'
import { findTarget } from './target.ts'

/** Runs one command of the terminal client; resolves with the exit code. */
export async function run(words: string[], env: Environment): Promise<number> {
  // Whoever reads the output may stop early, as `head` does.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  try {
    return await runCommand(words, env)
  } catch (error) {
    const known = error instanceof CliError ? error : undefined
    // A bug shows where it is.
    const message = known?.message ?? (error as Error).stack ?? String(error)
    process.stderr.write(`gatehouse: ${message}\n`)
    return known?.exitCode ?? EXIT.failed
  }
}

async function runCommand(words: string[], env: Environment): Promise<number> {
  const first = words[0]
  if (first === '--version' || first === '-V') return runCommand(['version', ...words.slice(1)], env)
  if (first === '--help' || first === '-h') return print(overview(commands))
  const { command, rest } = findCommand(words)
  const { values, positionals } = parse(command, rest)
  if (values.help) return print(explain(command))
  checkCount(command, positionals)
  const home = homeOf(env, values.home)
  const [server, token] = [text({ flags: values }, 'server'), text({ flags: values }, 'token')]
  const client = createClient(() =>
    findTarget({ env, home, ...(server ? { server } : {}), ...(token ? { token } : {}) })
  )
  const out = createOutput(env, { json: values.json === true })
  return (await command.run({ env, home, args: positionals, flags: values, out, client })) ?? EXIT.ok
}

function parse(command: Command, args: string[]) {
  const options = Object.entries({ ...COMMON_OPTIONS, ...command.options }).map(([name, { value, short }]) => [
    name,
    { type: value ? 'string' as const : 'boolean' as const, ...(short ? { short } : {}) },
  ])
  try {
    const { values, positionals } = parseArgs({ args, options: Object.fromEntries(options), allowPositionals: true })
    return { values: values as Record<string, string | boolean | undefined>, positionals }
  } catch (error) {
    throw usage(`${(error as Error).message.split('. ')[0]}. See: gatehouse help ${command.name}`)
  }
}

function checkCount({ name, args = '' }: Command, given: string[]): void {
  const wanted = args.split(' ').filter(Boolean)
  const missing = wanted.filter((word) => !word.startsWith('['))[given.length]
  const hint = `See: gatehouse help ${name}`
  if (missing) throw usage(`${missing} is missing. ${hint}`)
  if (given.length > wanted.length && !args.includes('...')) {
    throw usage(`"${given[wanted.length]}" is too much. ${hint}`)
  }
}

function print(text: string): number {
  process.stdout.write(text)
  return EXIT.ok
}
