import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config, ConfigProblem, Origin } from '../../shared/config.ts'
import { AppError } from '../errors.ts'
import { LARGEST, parse, type Parsed } from './document.ts'
import type { Environment } from './environment.ts'
import { readText, sha256, writeAtomic } from './file.ts'
import { layer, readDotenv } from './layers.ts'
import { isGroup, type Values } from './values.ts'

/** What the configuration is read from. */
export type ConfigSources = {
  home: string
  env: Environment
  /** Command line, by dotted path: `{'server.port': 9000}`; undefined values count as not given. */
  flags?: Record<string, unknown>
}

/** The configuration as it stands in the file and around it. */
export type Loaded = {
  /** Text of the file on disk; undefined when there is none. */
  text: string | undefined
  /** SHA-256 of the text. */
  sha: string
  /** Text of the version in force: `text`, or an older one while the file has an error. */
  goodText: string
  /** The file's settings in force, references unresolved. */
  data: Values
  config: Config
  origins: Record<string, Origin>
  problems: ConfigProblem[]
  /** `.env` in the home below the environment of the process; holds provider keys and the like. */
  variables: Environment
}

export const configPath = (home: string): string => join(home, 'gatehouse.yaml')
export const dotenvPath = (home: string): string => join(home, '.env')

/** Keeps the last text without errors, already parsed: a start needs no YAML, and an error while we were down no guess. */
const goodPath = (home: string): string => join(home, 'backups', 'gatehouse.last-good.json')

type Good = { sha: string; text: string; data: Values }

/**
 * Reads everything before the database is open. An error in the file leaves the last good version in force and is
 * listed in `problems`; an error in the environment or a flag throws `invalid_input`, for nothing can stand in for it.
 */
export async function loadConfig(sources: ConfigSources): Promise<Loaded> {
  await mkdir(sources.home, { recursive: true, mode: 0o700 })
  const text = await readText(configPath(sources.home))
  const good = await readGood(sources.home)
  const evaluated = await evaluate(
    sources,
    text ?? '',
    text !== undefined && good?.sha === sha256(text) ? good.data : undefined,
  )
  const ours = evaluated.problems.find((problem) => problem.severity === 'error' && problem.origin !== 'file')
  if (ours) throw new AppError('invalid_input', ours.message)
  if (evaluated.good) {
    if (text !== undefined && good?.sha !== evaluated.sha) await keepGood(sources.home, evaluated.good)
    return { ...evaluated, ...evaluated.good, text }
  }
  const before = await evaluate(sources, good?.text ?? '', good?.data)
  const usable = before.good ?? (await evaluate(sources, '')).good
  if (!usable) throw new AppError('invalid_input', evaluated.problems[0]?.message ?? 'The configuration has an error')
  return { ...evaluated, ...usable, text }
}

/**
 * One text between the other sources; `good` is left out when the text, or what surrounds it, has an error.
 * `known` is the text already parsed, where somebody has it.
 */
export async function evaluate(sources: ConfigSources, text: string, known?: Values) {
  const dotenv = readDotenv(dotenvPath(sources.home))
  const variables = { ...dotenv, ...sources.env }
  const sha = sha256(text)
  const around = { dotenv, env: sources.env, flags: sources.flags ?? {} }
  let parsed: Parsed = { data: known ?? (text.trim() === '' ? {} : undefined), problems: [], locate: () => null }
  let layered = parsed.data && layer({ ...around, file: parsed.data, locate: parsed.locate })
  // Problems want their lines, and those need the text parsed.
  if (text.length <= LARGEST && (!layered || (text !== '' && layered.problems.length > 0))) {
    parsed = await parse(text)
    layered = parsed.data && layer({ ...around, file: parsed.data, locate: parsed.locate })
  }
  const problems = [...(text.length > LARGEST ? [tooLarge] : parsed.problems), ...(layered?.problems ?? [])]
  const { config, origins } = layered ?? {}
  const good = config && origins && parsed.data ? { goodText: text, data: parsed.data, config, origins } : undefined
  return { sha, problems, variables, good }
}

const tooLarge: ConfigProblem = {
  severity: 'error',
  message: 'gatehouse.yaml is larger than 1 MiB',
  path: null,
  origin: 'file',
  line: null,
  column: null,
}

/** Remembers a text without errors; a failure costs only time at the next start. */
export async function keepGood(home: string, good: { goodText: string; data: Values }): Promise<void> {
  const content: Good = { sha: sha256(good.goodText), text: good.goodText, data: good.data }
  await mkdir(dirname(goodPath(home)), { recursive: true, mode: 0o700 }).catch(() => undefined)
  await writeAtomic(goodPath(home), JSON.stringify(content)).catch(() => undefined)
}

async function readGood(home: string): Promise<Good | undefined> {
  try {
    const good: unknown = JSON.parse(await readFile(goodPath(home), 'utf8'))
    const { sha, text, data } = good as Good
    return isGroup(good) && typeof text === 'string' && sha256(text) === sha && isGroup(data)
      ? { sha, text, data }
      : undefined
  } catch {
    return undefined
  }
}
