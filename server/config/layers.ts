import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import * as v from 'valibot'
import { Config, type ConfigProblem, type Origin } from '../../shared/config.ts'
import { messageOf } from '../http/refusal-words.ts'
import type { Environment } from './environment.ts'
import type { Position } from './document.ts'
import { coerce, isSecretPath, knownKeys, schemaAt } from './schema.ts'
import { freeze, isGroup, leafPaths, mapLeaves, same, valueAt, type Values, withValue } from './values.ts'

/** Where each setting may come from, besides its default. */
export type Sources = {
  file: Values
  dotenv: Environment
  env: Environment
  /** By dotted path: `{'server.port': 9000}`. */
  flags: Record<string, unknown>
  locate(path: readonly string[]): Position | null
}

/** All sources, one above the other. `config` is undefined when one of the problems is an error. */
export type Layered = {
  config: Config | undefined
  origins: Record<string, Origin>
  problems: ConfigProblem[]
}

type Entry = { path: string[]; value: unknown; origin: Origin; name: string }

/** Defaults < file < `.env` < environment < flags (spec conventions §4.4). */
export function layer(sources: Sources): Layered {
  const { file, dotenv, env, flags, locate } = sources
  const problems: ConfigProblem[] = []
  const origins: Record<string, Origin> = {}
  const names = new Map<string, Entry>()
  const variables = { ...dotenv, ...env }
  const fileProblem = (severity: ConfigProblem['severity'], path: readonly string[], message: string) =>
    problems.push({
      severity,
      message,
      path: path.join('.'),
      origin: 'file',
      line: locate(path)?.line ?? null,
      column: locate(path)?.column ?? null,
    })

  let values = withoutNulls(mapLeaves(file, (value, path) => resolve(value, path, variables, fileProblem))) as Values
  for (const path of leafPaths(values)) origins[path.join('.')] = 'file'
  warnOfUnknown(file, fileProblem)

  const entries = [
    ...fromVariables(dotenv, '.env', problems),
    ...fromVariables(env, 'environment', problems),
    ...Object.entries(flags).filter(([, value]) => value !== undefined).map(([name, value]): Entry => {
      const path = name.split('.')
      return {
        path,
        value: typeof value === 'string' ? coerce(path, value) : value,
        origin: 'flag',
        name: `--${path.at(-1)}`,
      }
    }),
  ]
  for (const entry of entries) {
    const key = entry.path.join('.')
    values = withValue(values, entry.path, entry.value)
    for (const path of Object.keys(origins)) if (path.startsWith(`${key}.`)) delete origins[path]
    for (const path of leafPaths(entry.value, entry.path)) origins[path.join('.')] = entry.origin
    names.set(key, entry)
  }

  const result = v.safeParse(Config, values, { abortPipeEarly: true })
  if (!result.success) {
    for (const issue of result.issues.slice(0, 50)) {
      const path = (issue.path ?? []).map((step) => String(step.key))
      const entry = path.map((_, i) => names.get(path.slice(0, i + 1).join('.'))).find((found) => found)
      if (!entry) fileProblem('error', path, readable(issue))
      else problems.push({ ...outside(entry), message: `${entry.name}: ${readable(issue)}` })
    }
    return { config: undefined, origins, problems }
  }
  for (const path of leafPaths(result.output)) origins[path.join('.')] ??= 'default'
  return { config: freeze(result.output), origins, problems }
}

/** Reads `.env` in the home folder; the runtimes treat such files differently, so none of them is relied on. */
export function readDotenv(path: string): Environment {
  try {
    return { ...parseEnv(readFileSync(path, 'utf8')) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

const readable = (issue: v.BaseIssue<unknown>): string =>
  issue.kind === 'schema' && issue.expected === 'Object' ? 'must be a group of settings' : messageOf(issue)

const outside = (entry: Entry): ConfigProblem => ({
  severity: 'error',
  message: '',
  path: entry.path.join('.'),
  origin: entry.origin,
  line: null,
  column: null,
})

const REFERENCE = /\$\{([A-Za-z_]\w*)\}/g

/** `${NAME}` in a value becomes the variable; the instructions of the model are left as they are. */
function resolve(
  value: unknown,
  path: string[],
  variables: Environment,
  problem: (severity: 'warning', path: string[], message: string) => void,
): unknown {
  if (typeof value !== 'string' || path[0] === 'system_prompt' || !value.includes('${')) return value
  const missing = [...value.matchAll(REFERENCE)].map((match) => match[1]!).filter((name) => !variables[name])
  if (missing.length > 0) {
    problem('warning', path, `the variable ${missing.join(', ')} is not set, so this setting counts as left out`)
    return null
  }
  const text = value.replace(REFERENCE, (_, name: string) => variables[name] ?? '')
  return text === value ? value : coerce(path, text)
}

/** An empty value, such as `port:` with nothing after it, counts as left out. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== null).map(withoutNulls)
  if (!isGroup(value)) return value
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== null).map(([key, item]) => [key, withoutNulls(item)]),
  )
}

function warnOfUnknown(file: Values, problem: (severity: 'warning', path: string[], message: string) => void): void {
  for (const [section, value] of Object.entries(file)) {
    if (!schemaAt([section])) {
      problem('warning', [section], `${section} is not a section that is known here; it is kept and has no effect`)
      continue
    }
    const known = knownKeys([section])
    if (!known || !isGroup(value)) continue
    for (const key of Object.keys(value).filter((name) => !known.includes(name))) {
      problem('warning', [section, key], `${section}.${key} is not a setting; there are ${known.join(', ')}`)
    }
  }
}

/** `GATEHOUSE_<SECTION>__<KEY>`, the same with `_FILE` for secrets, and the usual `HOST` and `PORT`. */
function fromVariables(variables: Environment, origin: Origin, problems: ConfigProblem[]): Entry[] {
  const entries: Entry[] = []
  for (const [name, key] of [['HOST', 'host'], ['PORT', 'port']] as const) {
    const path = ['server', key]
    if (variables[name]) entries.push({ path, value: coerce(path, variables[name]), origin, name })
  }
  for (const [name, value] of Object.entries(variables)) {
    if (!name.startsWith('GATEHOUSE_') || !value) continue
    const path = name.slice('GATEHOUSE_'.length).toLowerCase().split('__')
    const secretPath = [...path.slice(0, -1), path.at(-1)!.replace(/_file$/, '')]
    if (!same(path, secretPath) && isSecretPath(secretPath)) {
      const text = readSecret(value, { path: secretPath, value, origin, name }, problems)
      if (text !== undefined) entries.push({ path: secretPath, value: text, origin, name })
      continue
    }
    if (isSetting(path)) entries.push({ path, value: coerce(path, value), origin, name })
    else if (path.length > 1) {
      problems.push({
        ...outside({ path, value, origin, name }),
        severity: 'warning',
        message: `${name} names no setting`,
      })
    }
  }
  return entries
}

/** A name without `__`, such as GATEHOUSE_HOME, is a setting only where the top level has one of that name. */
const isSetting = (path: string[]): boolean =>
  path.every((step) => step !== '') && schemaAt(path.slice(0, 1)) !== undefined &&
  (schemaAt(path) !== undefined || knownKeys(path.slice(0, -1)) === undefined)

function readSecret(path: string, entry: Entry, problems: ConfigProblem[]): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    problems.push({
      ...outside(entry),
      message: `${entry.name}: ${path} can't be read (${(error as NodeJS.ErrnoException).code})`,
    })
    return undefined
  }
}

/** The secrets that are in force, wherever they came from, so that the log can keep them out. */
export function secretValues(config: Config): string[] {
  const found: string[] = []
  mapLeaves(config, (value, path) => {
    if (typeof value === 'string' && value !== '' && isSecretPath(path)) found.push(value)
    return value
  })
  return found
}

/** The values in force as an answer may show them: what came by reference is shown as the reference. */
export const withReferences = (config: Config, file: Values, origins: Record<string, Origin>): unknown =>
  mapLeaves(config, (value, path) => {
    const written = valueAt(file, path)
    const fromFile = path.some((_, i) => origins[path.slice(0, i + 1).join('.')] === 'file')
    return fromFile && typeof written === 'string' && /\$\{\w+\}/.test(written) ? written : value
  })
