import { mkdir, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import { executableOf } from '../runtime/executables.ts'
import { MARK } from '../runtime/orphans.ts'
import type { Runtime } from '../runtime/port.ts'

/** What every program needs to find others, its home and the network; nothing of ours. */
const BASE_VARIABLES =
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|XDG_\w+|(https?|no|all)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|SystemRoot|APPDATA|LOCALAPPDATA|USERPROFILE|PATHEXT|COMSPEC)$/i

type Variables = Record<string, string | undefined>

/** A program with everything that it is started with. */
export type Launch = {
  command: string
  args: string[]
  cwd: string
  env: Record<string, string>
  /** File in which Deno notes each access; undefined elsewhere. */
  audit: string | undefined
}

/** What a plugin's `entry` runs on: what it wishes if that is installed, else what the server runs on. */
async function runtimeFor(
  wish: Runtime['name'] | undefined,
  own: Runtime['name'],
  variables: Variables,
): Promise<{ name: Runtime['name']; executable: string }> {
  for (const name of new Set([wish ?? own, own])) {
    const executable = await executableOf(name, variables.PATH)
    if (executable) return { name, executable }
  }
  throw new Error(`${wish ?? own} is not installed`)
}

/** The environment of a child: little of ours, what it declares, and what the configuration names. */
export function environmentOf({ variables, declared, given, mark }: {
  variables: Variables
  declared: readonly string[]
  given: Record<string, string>
  mark: string
}): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined && (BASE_VARIABLES.test(name) || declared.includes(name))) env[name] = value
  }
  return { ...env, NO_COLOR: '1', ...given, [MARK]: mark }
}

/** How a plugin with a folder is started. `data` is the folder that is its own to write in. */
export async function launchFolder({ manifest, folder, data, audit, own, variables, env }: {
  manifest: Manifest
  folder: string
  data: string
  audit: string
  own: Runtime['name']
  variables: Variables
  env: Record<string, string>
}): Promise<Launch> {
  await mkdir(data, { recursive: true, mode: 0o700 })
  const withData = { ...env, GATEHOUSE_PLUGIN_DATA: data }
  if (manifest.command) {
    const [program, ...args] = manifest.command
    const command = program!.includes('/') ? join(folder, program!) : program!
    return { command, args, cwd: folder, env: withData, audit: undefined }
  }
  const entry = join(folder, manifest.entry!)
  const { name, executable } = await runtimeFor(manifest.runtime, own, variables)
  if (name !== 'deno') return { command: executable, args: [entry], cwd: folder, env: withData, audit: undefined }
  return {
    command: executable,
    args: [...denoFlags(manifest, await pathsOf(manifest, { folder, data })), ENTER, pathToFileURL(entry).href],
    cwd: folder,
    env: { ...withData, DENO_AUDIT_PERMISSIONS: audit, DENO_NO_UPDATE_CHECK: '1' },
    audit,
  }
}

/**
 * The main module. Deno lets the main module import any file of the machine, as JSON or as text too, whatever may be
 * read; what another module imports needs the permission.
 */
const ENTER = 'data:text/javascript,process.argv.splice(1,1);await import(process.argv[1])'

const ROOT = join(import.meta.dirname, '..', '..')

/** The SDK and the packages that it stands on, which anybody may read. */
async function publicCode(): Promise<string[]> {
  const folders = [join(ROOT, 'plugins', 'sdk'), join(ROOT, 'shared')]
  for (let folder = ROOT; folder !== dirname(folder); folder = dirname(folder)) {
    const packages = join(folder, 'node_modules')
    const real = await realpath(packages).catch(() => undefined)
    if (real !== undefined) folders.push(packages, real)
  }
  return [...new Set(folders)]
}

/** What it may read and write: what the manifest names, its own folder and data, and code that is no secret. */
export async function pathsOf({ permissions }: Manifest, { folder, data }: { folder: string; data: string }) {
  const paths = (list: readonly string[]) => list.map((path) => isAbsolute(path) ? path : join(folder, path))
  const read = [folder, data, ...await publicCode(), ...paths(permissions.read)]
  return { read, write: [data, ...paths(permissions.write)] }
}

/** Exactly what the manifest names. */
function denoFlags({ permissions }: Manifest, { read, write }: Awaited<ReturnType<typeof pathsOf>>): string[] {
  const allow = (what: string, list: readonly string[]) => list.length > 0 ? [`--allow-${what}=${list.join(',')}`] : []
  return [
    'run',
    '--quiet',
    '--no-prompt',
    '--no-lock',
    '--no-remote',
    '--node-modules-dir=manual',
    ...(permissions.net.includes('*') ? ['--allow-net'] : allow('net', permissions.net)),
    ...allow('env', ['GATEHOUSE_PLUGIN_DATA', ...permissions.env]),
    // A variable that it may not see is one that is not set; libraries look at many.
    '--ignore-env',
    ...allow('read', read),
    ...allow('write', write),
    ...allow('run', permissions.run),
    ...allow('sys', permissions.sys),
  ]
}

/** A bare command of the configuration; a relative path is one in the home. */
export const launchCommand = ({ command, args, home, env }: {
  command: string
  args: readonly string[]
  home: string
  env: Record<string, string>
}): Launch => ({
  command: command.includes('/') && !isAbsolute(command) ? join(home, command) : command,
  args: [...args],
  cwd: home,
  env,
  audit: undefined,
})
