import { createHash } from 'node:crypto'
import { cp, lstat, mkdir, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { ulid } from 'ulid'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import type { InstallPluginInput } from '../../shared/plugins.ts'
import { AppError, invalid } from '../errors.ts'
import type { PluginDeps } from './deps.ts'
import { readPlugin } from './discover.ts'
import { gateProblem, isInside } from './gates.ts'
import type { Npm } from './npm.ts'
import type { Roster } from './roster.ts'
import type { Spec } from './specs.ts'
import type { Installed, PluginStore } from './store.ts'
import { untar } from './untar.ts'

const MAX_ARCHIVE = 100 * 1024 * 1024
const MAX_FOLDER = 500 * 1024 * 1024
const NPM_TIMEOUT_MS = 300_000
/** Folders in which something is prepared, or taken away; a look for plugins passes them over. */
const STAGING = '.new-'
/** What stood in the place of a plugin that is being installed, within its staging folder. */
const OLD = 'old'
/** A package's own scripts are never run, nor is git for it; only what it needs at run time is fetched. */
const NPM_INSTALL = 'install --ignore-scripts --allow-git=none --omit=dev --no-audit --no-fund --loglevel=error'

/** Puts plugins into the home's `plugins/` and takes them out again. What is installed is not enabled by that. */
export function createInstaller(deps: PluginDeps & { store: PluginStore; roster: Roster; npm: Npm }) {
  const { home, store, npm, now } = deps
  const folder = join(home, 'plugins')
  let last: Promise<unknown> = Promise.resolve()

  /** One after the other: two that put the same plugin in its place would meet half of each other's. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }

  async function install(input: InstallPluginInput): Promise<Installed & { id: string }> {
    const given = (['npm', 'folder', 'archive'] as const).filter((kind) => input[kind] !== undefined)
    if (given.length !== 1) throw invalid('npm', 'send exactly one of npm, folder and archive')
    const staging = await newStaging()
    try {
      const content = join(staging, 'plugin')
      await mkdir(content, { mode: 0o755 })
      const source = await fill(given[0]!, input, staging, content)
      const { manifest, id } = await pluginIn(content)
      if (given[0] !== 'folder') await fetchDependencies(content)
      const refused = await gateProblem({ folder: content, origin: 'home' }, manifest)
      if (refused) throw new AppError('unprocessable', `This plugin is not installed: ${refused}`)
      await checkRoom(id)
      const installed: Installed = { ...source, kind: given[0]!, at: now() }
      await deps.roster.unseen(() => putInPlace(content, join(folder, id), staging))
      await store.change(id, { installed }, now())
      return { id, ...installed }
    } finally {
      await rm(staging, { recursive: true, force: true })
    }
  }

  async function newStaging(): Promise<string> {
    const staging = join(folder, `${STAGING}${ulid()}`)
    await mkdir(staging, { recursive: true, mode: 0o700 })
    return staging
  }

  /** Another plugin of this id that was not put here by us must not be shadowed unseen. */
  async function checkRoom(id: string): Promise<void> {
    await deps.roster.look()
    const other = deps.roster.specs().find((spec) => spec.plugin === id && spec.origin !== 'home')
    if (!other) return
    throw new AppError('conflict', `A plugin ${id} is there already, in ${other.folder ?? 'gatehouse.yaml'}`)
  }

  async function fill(
    kind: 'npm' | 'folder' | 'archive',
    input: InstallPluginInput,
    staging: string,
    content: string,
  ): Promise<{ from: string; integrity: string | null }> {
    if (kind === 'folder') {
      const from = input.folder!
      if (!isAbsolute(from)) throw invalid('folder', 'must be an absolute path')
      if (!(await stat(from).catch(() => undefined))?.isDirectory()) throw invalid('folder', 'there is no such folder')
      await pluginIn(from)
      await copy(from, content)
      return { from, integrity: null }
    }
    const { bytes, from } = kind === 'npm' ? await pack(input.npm!, staging) : await readArchive(input.archive!)
    const integrity = checkIntegrity(bytes, input.integrity)
    await untar(bytes, content).catch((error: Error) => {
      throw new AppError('unprocessable', `The archive can't be unpacked: ${error.message}`)
    })
    return { from, integrity }
  }

  /** The package as npm has it, and the very version that it chose; npm itself checks its integrity. */
  async function pack(name: string, staging: string): Promise<{ bytes: Uint8Array; from: string }> {
    const out = await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', staging, '--', name], {
      cwd: staging,
      timeoutMs: NPM_TIMEOUT_MS,
    })
    const [packed] = JSON.parse(out) as { filename: string; name: string; version: string }[]
    const [file] = (await readdir(staging)).filter((entry) => entry.endsWith('.tgz'))
    if (!packed || !file) throw new AppError('bad_gateway', `npm gave no package for ${name}`)
    return { bytes: await readFile(join(staging, file)), from: `${packed.name}@${packed.version}` }
  }

  async function readArchive(from: string): Promise<{ bytes: Uint8Array; from: string }> {
    if (/^https?:\/\//i.test(from)) {
      const response = await deps.outbound.fetch(from, { maxBytes: MAX_ARCHIVE, timeoutMs: NPM_TIMEOUT_MS })
      if (!response.ok) throw new AppError('bad_gateway', `${from} answered ${response.status}`)
      return { bytes: new Uint8Array(await response.arrayBuffer()), from }
    }
    if (!isAbsolute(from)) throw invalid('archive', 'must be an absolute path, or begin with https://')
    const info = await stat(from).catch(() => undefined)
    if (!info?.isFile()) throw invalid('archive', 'there is no such file')
    if (info.size > MAX_ARCHIVE) throw invalid('archive', `is larger than ${MAX_ARCHIVE} bytes`)
    return { bytes: await readFile(from), from }
  }

  async function fetchDependencies(content: string): Promise<void> {
    // It may name programs that npm is to start, whatever it is told of scripts.
    await rm(join(content, '.npmrc'), { recursive: true, force: true })
    const text = await readFile(join(content, 'package.json'), 'utf8').catch(() => '{}')
    const { dependencies } = packageOf(text)
    if (Object.keys(dependencies ?? {}).length > 0) {
      await npm(NPM_INSTALL.split(' '), { cwd: content, timeoutMs: NPM_TIMEOUT_MS })
    }
  }

  async function uninstall({ name, plugin, origin, folder: from }: Spec): Promise<void> {
    const root = await realpath(folder).catch(() => folder)
    const own = origin === 'home' && from !== undefined && isInside(root, await realpath(from).catch(() => from))
    if (!own) {
      throw new AppError('conflict', `${name} was not installed into ${folder}; disable it, or remove it there`)
    }
    await store.change(name, { enabled: false }, now())
    await deps.roster.refresh()
    // Its secrets first: what a crash leaves of the rest is seen in the list, and can be removed once more.
    await store.remove(plugin)
    await rm(join(home, 'plugin-data', name), { recursive: true, force: true })
    // Aside as a whole, so that no half of it is left that nobody sees.
    const staging = await newStaging()
    try {
      await rename(from, join(staging, 'gone'))
    } finally {
      await rm(staging, { recursive: true, force: true })
    }
  }

  /** Takes away what an installation or a removal left that ended with the server; a plugin that it had put aside comes back. */
  async function tidy(): Promise<void> {
    const names: string[] = await readdir(folder).catch(() => [])
    for (const name of names.filter((name) => name.startsWith(STAGING))) {
      const staging = join(folder, name)
      const aside = await readPlugin(join(staging, OLD), 'home')
      if (aside?.manifest && !names.includes(aside.id)) await rename(aside.folder, join(folder, aside.id))
      await rm(staging, { recursive: true, force: true })
    }
  }

  return {
    /** To be called before plugins are looked for. */
    tidy: (): Promise<void> => inTurn(tidy),

    install: (input: InstallPluginInput) => inTurn(() => install(input)),

    /** Stops it and removes its folder, its data, its settings and its store. */
    uninstall: (spec: Spec): Promise<void> => inTurn(() => uninstall(spec)),
  }
}

async function pluginIn(folder: string): Promise<{ id: string; manifest: Manifest }> {
  const found = await readPlugin(folder, 'home')
  if (!found) throw new AppError('unprocessable', 'This is no plugin: there is no plugin.json in it')
  if (!found.manifest) throw new AppError('unprocessable', `This plugin can't be used: ${found.problem}`)
  return { id: found.id, manifest: found.manifest }
}

/** Files, folders and links as they are; a pipe or a device would be waited for, or never end. */
async function copy(from: string, to: string): Promise<void> {
  let left = MAX_FOLDER
  await cp(from, to, {
    recursive: true,
    verbatimSymlinks: true,
    async filter(path) {
      if (/[\\/]\.git$/.test(path)) return false
      const info = await lstat(path)
      if (!info.isFile() && !info.isDirectory() && !info.isSymbolicLink()) {
        throw new AppError('unprocessable', `This plugin is not installed: ${path} is neither file nor folder`)
      }
      if (info.isFile()) left -= info.size
      if (left < 0) throw new AppError('unprocessable', `This plugin has more than ${MAX_FOLDER} bytes`)
      return true
    },
  })
}

function packageOf(text: string): { dependencies?: Record<string, string> | null } {
  try {
    const about = JSON.parse(text) as unknown
    if (typeof about === 'object' && about !== null) return about
  } catch {
    // Said below.
  }
  throw new AppError('unprocessable', `This plugin can't be used: its package.json is no JSON object`)
}

/** The hash that was asked for, else a new one to keep. Throws when the bytes are others. */
function checkIntegrity(bytes: Uint8Array, wanted: string | undefined): string {
  const algorithm = wanted?.slice(0, wanted.indexOf('-')) ?? 'sha512'
  const integrity = `${algorithm}-${createHash(algorithm).update(bytes).digest('base64')}`
  if (wanted === undefined || wanted === integrity) return integrity
  throw new AppError('unprocessable', `The package is not the one that was meant: its integrity is ${integrity}`)
}

/** By renaming, so that there is never half of a plugin. */
async function putInPlace(from: string, target: string, staging: string): Promise<void> {
  const old = join(staging, OLD)
  const had = await rename(target, old).then(() => true, (error: { code?: string }) => {
    if (error.code !== 'ENOENT') throw error
    return false
  })
  try {
    await rename(from, target)
  } catch (error) {
    if (had) await rename(old, target)
    throw error
  }
}
