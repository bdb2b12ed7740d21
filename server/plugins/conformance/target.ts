import { readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { ulid } from 'ulid'
import * as v from 'valibot'
import { Manifest, MANIFEST_FILE } from '../../../shared/plugin-manifest.ts'
import { PLUGIN_PROTOCOL } from '../../../shared/plugin-protocol.ts'
import { invalid } from '../../errors.ts'
import type { Runtime } from '../../runtime/port.ts'
import { environmentOf, launchFolder } from '../launch.ts'
import { withDefaults } from '../settings.ts'
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
  /** Removes what was made for it. */
  close(): Promise<void>
}

/** Reads what `words` name: a plugin's folder, or a program and its arguments. Runs nothing. */
export async function openTarget(words: string[], options: {
  runtime: Runtime
  environment: Record<string, string | undefined>
  settings?: Settings
}): Promise<Target> {
  const { runtime, environment: variables, settings = {} } = options
  const folder = words.length === 1 && await isFolder(words[0]!) ? resolve(words[0]!) : undefined
  const text = folder === undefined ? undefined : await manifestText(folder)
  const rawManifest = text === undefined ? undefined : parsed(text)
  const result = v.safeParse(Manifest, rawManifest)
  const manifest = result.success ? result.output : undefined
  const extended = manifest?.protocol === PLUGIN_PROTOCOL
  const data = join(tmpdir(), `gatehouse-plugin-${ulid()}`)

  /** As the server starts it, with exactly the permissions of its manifest. */
  async function start({ plain }: { plain: boolean }): Promise<Probe> {
    const secrets = plain ? secretVariables(manifest, settings) : {}
    const env = environmentOf({
      variables,
      declared: manifest?.permissions.env ?? [],
      given: { ...settings.env, ...secrets },
      mark: ulid(),
    })
    if (!manifest) {
      const [command, ...args] = words
      return await startProbe({ runtime, command: command!, args, env })
    }
    // The variables of a foreign server are not declared; the settings come in them all the same.
    const declared = [...manifest.permissions.env, ...Object.keys(secrets)]
    const launch = await launchFolder({
      manifest: { ...manifest, permissions: { ...manifest.permissions, env: declared } },
      folder: folder!,
      data,
      audit: join(data, 'access.log'),
      own: runtime.name,
      variables,
      env,
    })
    return await startProbe({
      runtime,
      ...launch,
      ...(plain ? {} : { configure: configureOf(manifest, settings, data) }),
    })
  }

  return {
    name: manifest?.id ?? words.join(' '),
    folder,
    rawManifest,
    manifest,
    settings,
    start: manifest || folder === undefined ? () => start({ plain: !extended }) : undefined,
    startPlain: extended ? () => start({ plain: true }) : undefined,
    close: () => rm(data, { recursive: true, force: true }),
  }
}

/** Secrets as a server gives them that sends no settings. */
function secretVariables(manifest: Manifest | undefined, { secrets = {} }: Settings): Record<string, string> {
  return Object.fromEntries(
    (manifest?.secrets ?? []).flatMap(({ name, env }): [string, string][] => {
      const value = secrets[name]
      return env && value !== undefined ? [[env, value]] : []
    }),
  )
}

const configureOf = (manifest: Manifest, { config = {}, secrets = {} }: Settings, data: string) => ({
  type: 'configure',
  protocol: PLUGIN_PROTOCOL,
  plugin: { id: manifest.id, name: manifest.name, version: manifest.version },
  config: withDefaults(manifest, config),
  secrets,
  data_dir: data,
  public_url: null,
})

async function manifestText(folder: string): Promise<string> {
  try {
    return await readFile(join(folder, MANIFEST_FILE), 'utf8')
  } catch (error) {
    throw invalid('folder', `${folder} has no ${MANIFEST_FILE} that can be read: ${(error as Error).message}`)
  }
}

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() ?? false

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    return error
  }
}
