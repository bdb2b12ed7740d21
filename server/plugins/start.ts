import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ulid } from 'ulid'
import { CHANNEL_DEFAULTS } from '../../shared/channels.ts'
import { type CapabilityCommand, type FromPlugin, PLUGIN_PROTOCOL } from '../../shared/plugin-protocol.ts'
import type { PluginSettings } from '../../shared/plugin-settings.ts'
import type { Orphans } from '../runtime/orphans.ts'
import type { Runtime } from '../runtime/port.ts'
import type { Sentinel } from '../runtime/sentinel.ts'
import { isSecretName } from '../system/redact.ts'
import { createDenials } from './denials.ts'
import { gateProblem } from './gates.ts'
import type { Journal } from './journal.ts'
import { environmentOf, launchCommand, launchFolder, pathsOf } from './launch.ts'
import { createPace } from './pace.ts'
import { createProcess, type PluginProcess, type Received } from './process.ts'
import type { Resolved } from './settings.ts'
import type { Spec } from './specs.ts'

/** A process that was started, and what is looked at while it runs. */
export type Started = {
  process: PluginProcess
  /** The first message to one that speaks our extension. */
  configure?: CapabilityCommand
  /** Tells what its runtime refused since the last time. */
  readDenials: () => Promise<void>
}

/** The folder of a plugin that is its own to write in. */
export const dataFolder = (home: string, name: string): string => join(home, 'plugin-data', name)

/** Starts the program of a plugin, after everything was checked that can be without running it. */
export async function startProgram(spec: Spec, deps: {
  home: string
  runtime: Runtime
  settings: () => PluginSettings
  variables: () => Record<string, string | undefined>
  resolved: Resolved
  publicUrl: string | null
  receive: (event: FromPlugin) => Received
  journal: Journal
  orphans: Orphans
  /** Ends what a program with this mark left behind. */
  sweep: (mark: string) => Promise<void>
  sentinel: Sentinel
}): Promise<Started> {
  const { home, journal, settings, resolved } = deps
  const { manifest, folder } = spec
  Object.values(resolved.secrets).forEach(journal.hide)
  const data = dataFolder(home, spec.name)
  const audit = join(home, 'plugin-data', `${spec.name}.access.jsonl`)
  const mark = ulid()
  const env = environmentOf({
    variables: deps.variables(),
    declared: manifest?.permissions.env ?? [],
    given: { ...secretVariables(spec, resolved), ...spec.channel?.env },
    mark,
  })
  // Of a bare command these are its secrets; nothing else says so.
  for (const [variable, value] of Object.entries(env)) if (isSecretName(variable)) journal.hide(value)
  let launch
  if (manifest && folder) {
    const refused = await gateProblem({ folder, origin: spec.origin }, manifest)
    if (refused) throw new Error(`was not started: ${refused}`)
    await mkdir(data, { recursive: true, mode: 0o700 })
    const own = deps.runtime.name
    launch = await launchFolder({ manifest, folder, data, audit, own, variables: deps.variables(), env })
  } else {
    const { command = '', args = [] } = spec.channel ?? {}
    launch = launchCommand({ command, args, home, env })
  }

  const denials = launch.audit && manifest && folder
    ? createDenials({
      file: launch.audit,
      permissions: manifest.permissions,
      folders: await pathsOf(manifest, { folder, data }),
      onDenied: (message) => journal.incident('denied', message),
    })
    : undefined
  await denials?.remove()
  await deps.orphans.note(mark)
  const child = await deps.runtime.spawn(launch.command, launch.args, { cwd: launch.cwd, env: launch.env }).catch(
    (error: Error) => {
      throw new Error(`could not be started: ${error.message}`)
    },
  )
  await deps.sentinel.add(child.pid)
  const process = createProcess(child, {
    pace: createPace({
      perSecond: () => settings().messages_per_second,
      holdMs: () => settings().hold_seconds * 1000,
    }),
    holdMs: () => settings().hold_seconds * 1000,
    receive: deps.receive,
    onLog: (text) => journal.line('info', text),
    onDropped: (problem) => journal.incident('dropped', problem),
    sweep: () => deps.sweep(mark),
  })
  void process.ended.then(async () => {
    await deps.sentinel.remove(child.pid)
    try {
      await denials?.read()
      await denials?.remove()
    } catch (error) {
      journal.line('warn', `what it was refused could not be read: ${(error as Error).message}`)
    }
  })
  return {
    process,
    ...(manifest?.protocol === PLUGIN_PROTOCOL
      ? {
        configure: {
          type: 'configure',
          protocol: PLUGIN_PROTOCOL,
          plugin: { id: manifest.id, name: manifest.name, version: manifest.version },
          ...resolved,
          data_dir: data,
          public_url: deps.publicUrl,
          max_file_bytes: spec.channel?.max_media_bytes ?? CHANNEL_DEFAULTS.max_media_bytes,
        },
      }
      : {}),
    readDenials: async () => await denials?.read(),
  }
}

/** Secrets that the manifest wants in variables. */
function secretVariables({ manifest }: Spec, { secrets }: Resolved): Record<string, string> {
  const wanted = (manifest?.secrets ?? []).filter(({ name, env }) => env !== undefined && secrets[name] !== undefined)
  return Object.fromEntries(wanted.map(({ name, env }) => [env!, secrets[name]!]))
}
