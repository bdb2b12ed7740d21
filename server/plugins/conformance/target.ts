import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import process from 'node:process'
import * as v from 'valibot'
import { Manifest, MANIFEST_FILE } from '../../../shared/plugin-manifest.ts'
import { PLUGIN_PROTOCOL } from '../../../shared/plugin-protocol.ts'
import { readText } from '../../config/file.ts'
import { invalid } from '../../errors.ts'
import type { Runtime } from '../../runtime/port.ts'
import { type Probe, startProbe } from './probe.ts'

/** What the plugin under test is given, as the owner would set it. */
export type Settings = {
  config?: Record<string, unknown>
  secrets?: Record<string, string>
  /** For plugins that only read variables. */
  env?: Record<string, string>
}

/** A plugin under test: a folder with a manifest, or a bare command. */
export type Target = {
  name: string
  folder: string | undefined
  /** As it is written; undefined when there is none. */
  rawManifest: unknown
  manifest: Manifest | undefined
  settings: Settings
  /** Undefined when the manifest does not say how it starts. */
  start: (() => Promise<Probe>) | undefined
  /** As under a server that only knows the Gateway Protocol. */
  startPlain: (() => Promise<Probe>) | undefined
}

/** What a plugin needs of the environment to start at all. */
const INHERITED = /^(PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|XDG_\w+|SystemRoot|PATHEXT|COMSPEC|DENO_DIR)$/i

/** Reads what `words` name: a plugin's folder, or a program and its arguments. Runs nothing. */
export async function openTarget(words: string[], options: {
  runtime: Runtime
  environment: Record<string, string | undefined>
  settings?: Settings
}): Promise<Target> {
  const { settings = {} } = options
  const folder = words.length === 1 && await isFolder(words[0]!) ? resolve(words[0]!) : undefined
  const text = folder === undefined ? undefined : await readText(join(folder, MANIFEST_FILE))
  if (folder !== undefined && text === undefined) throw invalid('folder', `${folder} has no ${MANIFEST_FILE}`)
  const rawManifest = text === undefined ? undefined : parsed(text)
  const result = v.safeParse(Manifest, rawManifest)
  const manifest = result.success ? result.output : undefined
  const [command, ...args] = manifest ? programOf(manifest, folder!) : folder === undefined ? words : []
  const env = {
    ...Object.fromEntries(
      Object.entries(options.environment).filter((entry): entry is [string, string] =>
        entry[1] !== undefined && (INHERITED.test(entry[0]) || (manifest?.permissions.env ?? []).includes(entry[0]))
      ),
    ),
    ...settings.env,
  }
  const base = { runtime: options.runtime, args, env, cwd: folder }
  const secretVariables = Object.fromEntries(
    (manifest?.secrets ?? []).flatMap(({ name, env }): [string, string][] => {
      const value = settings.secrets?.[name]
      return env && value !== undefined ? [[env, value]] : []
    }),
  )
  const plain = { ...base, env: { ...env, ...secretVariables } }
  const extended = manifest?.protocol === PLUGIN_PROTOCOL
  return {
    name: manifest?.id ?? words.join(' '),
    folder,
    rawManifest,
    manifest,
    settings,
    start: command === undefined ? undefined : () =>
      startProbe(
        extended ? { ...base, command, configure: configureOf(manifest!, settings) } : { ...plain, command },
      ),
    startPlain: command === undefined || !extended ? undefined : () => startProbe({ ...plain, command }),
  }
}

/** The program and arguments that a manifest asks for. Permissions of Deno are the host's to give, so all are given. */
function programOf({ entry, command, runtime }: Manifest, folder: string): string[] {
  if (command) return command[0]!.includes('/') ? [resolve(folder, command[0]!), ...command.slice(1)] : command
  const path = join(folder, entry!)
  if (runtime === 'deno') return ['deno', 'run', '--quiet', '--no-prompt', '--allow-all', path]
  if (runtime === 'bun') return ['bun', path]
  if (runtime === 'node') return ['node', path]
  return [process.execPath, ...(process.versions.deno ? ['run', '--quiet', '--no-prompt', '--allow-all'] : []), path]
}

const configureOf = ({ id, name, version }: Manifest, { config = {}, secrets = {} }: Settings) => ({
  type: 'configure',
  protocol: PLUGIN_PROTOCOL,
  plugin: { id, name, version },
  config,
  secrets,
  data_dir: null,
})

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() ?? false

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return error
  }
}
