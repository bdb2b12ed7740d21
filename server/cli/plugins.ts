import process from 'node:process'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Plugin, PluginCheck, PluginConfig, PluginDetail, PluginLogLine } from '../../shared/plugins.ts'
import { cleanLine } from './clean.ts'
import { type Command, type Context, text } from './command.ts'
import { CliError, EXIT, usage } from './exit-codes.ts'
import { isSure } from './is-sure.ts'
import { shorten, when } from './output.ts'
import { inWords, printPlugin } from './plugin-words.ts'

const POLL_MS = 1000

const pathOf = (name: string, rest = ''): string => `/api/plugins/${encodeURIComponent(name)}${rest}`

/** `gatehouse plugins …`. */
export const pluginCommands: Command[] = [
  {
    name: 'plugins list',
    alias: 'plugins',
    summary: 'Plugins that are installed, or come with the server',
    run: async ({ client, out }) => {
      const answer = await client.get<{ plugins: Plugin[] }>('/api/plugins')
      out.show(answer, () => {
        const rows = answer.plugins.map((plugin) => [
          plugin.name,
          plugin.version,
          plugin.origin,
          plugin.enabled ? plugin.state : 'off',
          plugin.restarts,
          megabytes(plugin.memory_bytes),
          plugin.restricted ? 'yes' : 'no',
          shorten(plugin.problem ?? plugin.status?.identity ?? plugin.description, 60),
        ])
        out.table(
          ['NAME', 'VERSION', 'FROM', 'STATE', 'RESTARTS', 'MEMORY', 'RESTRICTED', 'ABOUT'],
          rows,
          'No plugins. Install one with: gatehouse plugins install PACKAGE',
        )
      })
    },
  },
  {
    name: 'plugins inspect',
    args: 'NAME',
    summary: 'What a plugin is, what it may do, and how it is doing',
    run: async ({ args: [name = ''], client, out }) => {
      const answer = await client.get<{ plugin: PluginDetail }>(pathOf(name))
      out.show(answer, () => printPlugin(answer.plugin, out))
    },
  },
  {
    name: 'plugins enable',
    args: 'NAME',
    summary: 'Switch a plugin on',
    details: 'Shows what it may do; --accept says yes to exactly that.',
    options: { accept: { summary: 'Accept what it may do' } },
    run: async ({ args: [name = ''], client, flags, out }) => {
      const { plugin } = await client.get<{ plugin: PluginDetail }>(pathOf(name))
      if (!plugin.accepted && !flags.accept) {
        inWords(plugin).forEach((line) => out.note(cleanLine(line)))
        throw new CliError(
          EXIT.failed,
          `Nothing was changed. To accept this: gatehouse plugins enable ${name} --accept`,
        )
      }
      const body = plugin.accepted ? {} : { surface_hash: plugin.surface_hash }
      const answer = await client.send<{ plugin: PluginDetail }>('POST', pathOf(name, '/enable'), body)
      out.show(answer, () => out.print(stateOf(answer.plugin)))
    },
  },
  verb('disable', 'Switch a plugin off'),
  verb('restart', 'Start a plugin anew, also out of quarantine'),
  {
    name: 'plugins reload',
    summary: 'Look at all plugin folders again; what changed is started anew',
    run: async ({ client, out }) => {
      const answer = await client.send<{ plugins: Plugin[] }>('POST', '/api/plugins/reload', {})
      out.show(answer, () => answer.plugins.forEach((plugin) => out.print(stateOf(plugin))))
    },
  },
  {
    name: 'plugins install',
    args: 'WHAT',
    summary: 'Install a plugin: an npm package, a folder, or a .tgz file or address',
    details: 'Scripts of the package are never run. It is switched on by: gatehouse plugins enable NAME',
    options: { integrity: { value: 'HASH', summary: 'What the archive must be: sha512-…' } },
    run: async (context) => {
      const { args: [what = ''], client, out } = context
      const integrity = text(context, 'integrity')
      const body = { ...sourceOf(what), ...(integrity === undefined ? {} : { integrity }) }
      const answer = await client.send<{ plugin: PluginDetail }>('POST', '/api/plugins/install', body)
      out.show(answer, () => {
        const { name, version, integrity } = answer.plugin
        out.print(cleanLine(`Installed ${name} ${version}${integrity ? ` (${integrity})` : ''}`))
        out.note(`Switch it on with: gatehouse plugins enable ${cleanLine(name)}`)
      })
    },
  },
  {
    name: 'plugins uninstall',
    args: 'NAME',
    summary: 'Stop a plugin and remove it with its data and settings',
    details: 'Asks first. Nothing of it is kept: settings, secrets, its store and its files are gone.',
    options: { yes: { short: 'y', summary: 'Do not ask' } },
    run: async ({ args: [name = ''], client, flags, out }) => {
      if (!flags.yes) {
        // What is mistyped is refused before it is asked about.
        await client.get(pathOf(name))
        const question = `Remove ${cleanLine(name)} with its settings, secrets and data?`
        if (!await isSure(question)) {
          throw new CliError(
            EXIT.failed,
            `Nothing was removed. To remove it: gatehouse plugins uninstall ${cleanLine(name)} --yes`,
          )
        }
      }
      const answer = await client.send('DELETE', pathOf(name))
      out.show(answer, () => out.print('Removed'))
    },
  },
  {
    name: 'plugins config',
    args: 'NAME [SETTING=VALUE...]',
    summary: 'Settings of a plugin; with arguments they are changed',
    details:
      'A value may be JSON. A secret is set by its name as well, or read from stdin with SETTING=-, and never shown.',
    run: configure,
  },
  {
    name: 'plugins logs',
    args: 'NAME',
    summary: 'What a plugin wrote, and what happened to it',
    options: {
      follow: { short: 'f', summary: 'Go on as lines come; Ctrl-C ends' },
      lines: { value: 'N', short: 'n', summary: 'How many (50)' },
    },
    run: logs,
  },
  {
    name: 'plugins doctor',
    summary: 'What is wrong with plugins, and how to mend it',
    run: async ({ client, out }) => {
      const answer = await client.get<{ checks: PluginCheck[] }>('/api/plugins/doctor')
      out.show(answer, () => {
        for (const { name, level, message, mend } of answer.checks) {
          out.print(`${level.padEnd(8)}${cleanLine(`${name}: ${message}`)}`)
          if (mend) out.print(`        ${cleanLine(mend)}`)
        }
      })
      return answer.checks.some(({ level }) => level === 'error') ? EXIT.failed : EXIT.ok
    },
  },
]

function verb(name: 'disable' | 'restart', summary: string): Command {
  return {
    name: `plugins ${name}`,
    args: 'NAME',
    summary,
    run: async ({ args: [plugin = ''], client, out }) => {
      const answer = await client.send<{ plugin: PluginDetail }>('POST', pathOf(plugin, `/${name}`), {})
      out.show(answer, () => out.print(stateOf(answer.plugin)))
    },
  }
}

/** A path when it looks like one, else a package; the server reads files, so it is told the whole path. */
function sourceOf(what: string): { npm: string } | { folder: string } | { archive: string } {
  if (/^https?:\/\//.test(what)) return { archive: what }
  if (/\.(tgz|tar\.gz)$/.test(what)) return { archive: resolve(what) }
  return /^[./~]/.test(what) ? { folder: resolve(what) } : { npm: what }
}

async function configure({ args: [name = '', ...changes], client, out }: Context): Promise<void> {
  const now = await client.get<PluginConfig>(pathOf(name, '/config'))
  const config = { ...now.config }
  const secrets: Record<string, string> = {}
  for (const change of changes) {
    const [, setting, value] = /^([^=]+)=(.*)$/s.exec(change) ?? []
    if (setting === undefined) throw usage(`"${change}" must be SETTING=VALUE`)
    const given = value === '-' ? (await readAll()).trimEnd() : value!
    if (setting in now.secrets) secrets[setting] = given
    else config[setting] = parsed(given)
  }
  const answer = changes.length === 0
    ? now
    : await client.send<PluginConfig>('PUT', pathOf(name, '/config'), { config, secrets })
  out.show(answer, () => {
    const rows = Object.entries(answer.config).map(([setting, value]) => [setting, JSON.stringify(value)])
    const hidden = Object.entries(answer.secrets).map(([setting, { set }]) => [setting, set ? '(set)' : '(not set)'])
    out.table(['SETTING', 'VALUE'], [...rows, ...hidden], 'No settings.')
  })
}

async function logs(context: Context): Promise<number> {
  const { args: [name = ''], client, flags, out } = context
  const count = text(context, 'lines') ?? '50'
  if (!/^[1-9]\d{0,3}$/.test(count)) throw usage('--lines must be a number from 1 to 9999')
  const read = async (query: string) =>
    (await client.get<{ lines: PluginLogLine[] }>(pathOf(name, `/logs?${query}`))).lines
  const print = (lines: PluginLogLine[]) =>
    lines.forEach((line) =>
      out.print(out.json ? JSON.stringify(line) : `${when(line.at)} ${line.level.padEnd(5)} ${cleanLine(line.text)}`)
    )
  let lines = await read(`limit=${count}`)
  print(lines)
  if (!flags.follow) return EXIT.ok
  const leaving = new AbortController()
  process.once('SIGINT', () => leaving.abort())
  let last = lines.at(-1)?.seq ?? 0
  while (!leaving.signal.aborted) {
    await pause(POLL_MS, undefined, { signal: leaving.signal }).catch(() => undefined)
    if (leaving.signal.aborted) break
    lines = await read(`after=${last}&limit=1000`).catch((error: unknown) => {
      // It may be restarting.
      if (error instanceof CliError && error.exitCode === EXIT.noServer) return []
      throw error
    })
    print(lines)
    last = lines.at(-1)?.seq ?? last
  }
  return EXIT.interrupted
}

async function readAll(): Promise<string> {
  let all = ''
  for await (const chunk of process.stdin) all += String(chunk)
  return all
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

const stateOf = ({ name, enabled, state, problem }: Plugin): string =>
  cleanLine(`${name}: ${enabled ? state : 'off'}${problem ? ` (${problem})` : ''}`)

const megabytes = (bytes: number | null): string => bytes === null ? '' : `${Math.round(bytes / 1024 ** 2)} MB`
