import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { parse, stringify } from 'yaml'
import type { ConfigProblem, ConfigVersion, EffectiveConfig } from '../../shared/config.ts'
import { configPath, evaluate } from '../config/load.ts'
import { clean, cleanLine } from './clean.ts'
import type { Command, Context } from './command.ts'
import { CliError, EXIT, usage } from './exit-codes.ts'
import { when } from './output.ts'

type Written = { ok: boolean; restart_required: boolean }
type Group = Record<string, unknown>

/** `gatehouse config …`. */
export const configCommands: Command[] = [
  {
    name: 'config get',
    alias: 'config',
    args: '[PATH]',
    summary: 'The settings in force, or one of them: server.port',
    options: { origin: { summary: 'Say where each value comes from' } },
    run: async ({ args: [path], client, flags, out }) => {
      const { values, origins } = await client.get<EffectiveConfig>('/api/config/effective')
      const value = path === undefined ? values : at(values, path.split('.'))
      if (value === undefined) throw new CliError(EXIT.failed, `There is no setting "${path}"`)
      const chosen = Object.entries(origins).filter(([name]) => !path || name === path || name.startsWith(`${path}.`))
      out.show(flags.origin ? { value, origins: Object.fromEntries(chosen) } : value, () => {
        if (flags.origin) {
          out.table(
            ['SETTING', 'FROM', 'VALUE'],
            chosen.map(([name, from]) => [name, from, JSON.stringify(at(values, name.split('.')))]),
            'Nothing is set.',
          )
        } else out.write(clean(typeof value === 'object' ? stringify(value) : `${value}\n`))
      })
    },
  },
  {
    name: 'config set',
    args: 'PATH VALUE',
    summary: 'Change a setting; the value is read as YAML: 9000, true, [a, b], "text"',
    run: ({ args: [path = '', value = ''], ...context }) => change(context, path, parseValue(value)),
  },
  {
    name: 'config unset',
    args: 'PATH',
    summary: 'Return a setting to its default',
    run: ({ args: [path = ''], ...context }) => change(context, path, null),
  },
  {
    name: 'config edit-path',
    summary: 'Where gatehouse.yaml is, for an editor: $EDITOR "$(gatehouse config edit-path)"',
    run: async ({ home, out }) => out.show({ path: configPath(home) }, () => out.print(configPath(home))),
  },
  {
    name: 'config validate',
    args: '[FILE]',
    summary: 'Check gatehouse.yaml, or another file, without a server',
    run: async ({ args: [file], env, home, out }) => {
      const path = file ?? configPath(home)
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (file === undefined && error.code === 'ENOENT') return ''
        throw usage(error.message)
      })
      const { problems } = await evaluate({ home, env }, text)
      const ok = problems.every(({ severity }) => severity !== 'error')
      out.show({ ok, problems }, () => {
        for (const problem of problems) out.print(`${problem.severity}: ${describe(problem)}`)
        out.print(ok ? out.style.green(`${path} can be used`) : out.style.red(`${path} has errors`))
      })
      return ok ? EXIT.ok : EXIT.failed
    },
  },
  {
    name: 'config history',
    summary: 'The last versions of gatehouse.yaml, newest first',
    run: async ({ client, out }) => {
      const answer = await client.get<{ versions: ConfigVersion[] }>('/api/config/history')
      out.show(answer, () => {
        const rows = answer.versions.map((version) => [
          version.current ? '*' : '',
          version.id,
          when(version.at),
          version.by.name,
          version.sha.slice(0, 12),
        ])
        out.table(['', 'VERSION', 'WHEN', 'BY', 'SHA-256'], rows, 'No versions yet.')
      })
    },
  },
  {
    name: 'config restore',
    args: 'VERSION',
    summary: 'Bring an older version back into force',
    run: async ({ args: [id = ''], client, out }) => {
      written(await client.send<Written>('POST', `/api/config/history/${encodeURIComponent(id)}/restore`), out)
    },
  },
]

/** One problem on one line, with its place. */
export const describe = ({ message, path, line }: ConfigProblem): string =>
  cleanLine(
    `${line === null ? '' : `line ${line}: `}${path === null || message.startsWith(path) ? '' : `${path}: `}${message}`,
  )

/** Sends what changes in one section; null removes. */
async function change({ client, out }: Pick<Context, 'client' | 'out'>, path: string, value: unknown): Promise<void> {
  const [section = '', ...keys] = path.split('.')
  if (section === '' || keys.includes('')) throw usage(`"${path}" is no setting such as server.port`)
  const route = `/api/config/${encodeURIComponent(section)}`
  if (section !== 'channels') {
    return written(await client.send<Written>('PATCH', route, nested(keys, value)), out)
  }
  // This section is replaced whole, so what it has is read first; the tag refuses a change in between.
  const response = await client.request('GET', '/api/config')
  const { channels = {} } = await response.json() as { channels?: Group }
  const changed = merged(channels, nested(keys, value))
  if (isDeepStrictEqual(changed, channels)) return out.note('Nothing changed')
  const headers = { 'if-match': response.headers.get('etag') ?? '*' }
  written(await client.send<Written>('PATCH', route, changed, { headers }), out)
}

function written(answer: Written, out: Context['out']): void {
  out.show(answer, () => out.print(answer.restart_required ? 'Saved. It counts after a restart.' : 'Saved.'))
}

function parseValue(text: string): unknown {
  try {
    return parse(text)
  } catch {
    throw usage(`The value can't be read as YAML; put text with special characters in quotes: '"${text}"'`)
  }
}

/** Only own fields: a path from the command line must not reach into prototypes. */
function at(value: unknown, keys: string[]): unknown {
  for (const key of keys) value = isGroup(value) && Object.hasOwn(value, key) ? value[key] : undefined
  return value
}

const nested = (keys: string[], value: unknown): unknown =>
  keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)

/** `patch` laid over `base` as a JSON merge patch (RFC 7396). */
function merged(base: unknown, patch: unknown): unknown {
  if (!isGroup(patch)) return patch
  const result: Group = isGroup(base) ? { ...base } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = merged(result[key], value)
  }
  return result
}

const isGroup = (value: unknown): value is Group => typeof value === 'object' && value !== null && !Array.isArray(value)
