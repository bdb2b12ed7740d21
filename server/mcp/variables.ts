import { AppError } from '../errors.ts'
import type { McpSpec } from './spec.ts'

/** `${VAR}`, `${VAR:-default}`, `${env:VAR}`, `${input:id}` and the folder names that editors know. */
const REFERENCE = /\$\{(?:(env|input):)?([A-Za-z_][\w.-]*)(?::-([^}]*))?\}/g

/** Where references are looked up. */
export type Lookup = { env: Record<string, string | undefined>; home: string; workspace: string }

/**
 * The spec with its references replaced, just before it is used; what is stored keeps them.
 * Throws `unprocessable` that names the variable which is missing. Variables of this server go to nobody.
 */
export function resolveSpec(spec: McpSpec, lookup: Lookup): McpSpec {
  const text = (value: string) => value.replace(REFERENCE, (_, kind, name, fallback) => find(kind, name, fallback))
  const find = (kind: string | undefined, name: string, fallback: string | undefined): string => {
    if (kind === 'input') {
      const given = spec.inputs[name] ?? fallback
      if (given === undefined) {
        throw missing(`The value of \${input:${name}} was not given yet; edit the server and enter it.`)
      }
      return given
    }
    if (name.startsWith('GATEHOUSE_')) throw missing(`${name} belongs to this server and is given to no other program.`)
    const folder = kind === undefined ? folderOf(name, lookup) : undefined
    const value = folder ?? (lookup.env[name] || fallback)
    if (value === undefined) {
      throw missing(
        `The variable ${name} is not set; set it in the environment or in the .env file of the home folder.`,
      )
    }
    return value
  }
  const all = (values: Record<string, string>) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, text(value)]))
  return {
    ...spec,
    command: spec.command && spec.command.map(text),
    args: spec.args.map(text),
    url: spec.url && text(spec.url),
    env: all(spec.env),
    headers: all(spec.headers),
  }
}

/** Ids of the inputs that a spec refers to. */
export function inputsOf(spec: McpSpec): string[] {
  const texts = [
    ...spec.command ?? [],
    ...spec.args,
    spec.url ?? '',
    ...Object.values(spec.env),
    ...Object.values(spec.headers),
  ]
  const ids = texts.flatMap((text) =>
    [...text.matchAll(REFERENCE)].filter(([, kind]) => kind === 'input').map((match) => match[2]!)
  )
  return [...new Set(ids)]
}

function folderOf(name: string, { home, workspace }: Lookup): string | undefined {
  if (name === 'workspaceFolder') return workspace
  if (name === 'userHome') return home
  return undefined
}

const missing = (message: string): AppError => new AppError('unprocessable', message)
