import type { Environment } from '../config/environment.ts'
import type { Client } from './client.ts'
import type { Output } from './output.ts'

/** An option: with `value` it takes one of that name, without it is a switch. */
export type Option = { summary: string; value?: string; short?: string }

/** What a command works with. */
export type Context = {
  env: Environment
  home: string
  /** The words after the command's name. */
  args: string[]
  flags: Record<string, string | boolean | undefined>
  out: Output
  client: Client
}

/** One row of the table that parsing, help and completions are made from. */
export type Command = {
  /** One or two words: `chat`, `sessions search`. */
  name: string
  /** The short form that means the same: `sessions` for `sessions list`. */
  alias?: string
  /** `SESSION [NAME]`; brackets for what may be left out, dots for what may repeat. */
  args?: string
  summary: string
  /** More for `gatehouse help NAME`. */
  details?: string
  options?: Record<string, Option>
  /** Resolves with the exit code; nothing is 0. */
  run(context: Context): Promise<number | void>
}

/** Options of every command. */
export const COMMON_OPTIONS: Record<string, Option> = {
  server: { value: 'URL', summary: 'Server to talk to (GATEHOUSE_URL; else the one of the home folder)' },
  token: { value: 'TOKEN', summary: 'API key (GATEHOUSE_TOKEN; else the key of the server that runs here)' },
  home: { value: 'FOLDER', summary: 'Home folder (GATEHOUSE_HOME)' },
  json: { summary: 'Print the result as JSON' },
  help: { short: 'h', summary: 'Explain the command' },
}

/** A flag that takes a value; undefined when it was not given. */
export const text = (context: Pick<Context, 'flags'>, name: string): string | undefined => {
  const value = context.flags[name]
  return typeof value === 'string' ? value : undefined
}
