import { readdir, readFile, stat } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import * as v from 'valibot'
import { Manifest, MANIFEST_FILE } from '../../shared/plugin-manifest.ts'
import type { PluginOrigin } from '../../shared/plugins.ts'
import { messageOf } from '../http/refusal-words.ts'

const MAX_MANIFEST = 256 * 1024

/** A folder with a manifest; `problem` says why it can't be used. */
export type Found = {
  id: string
  folder: string
  origin: Exclude<PluginOrigin, 'config'>
  manifest: Manifest | undefined
  problem: string | undefined
}

/** Reads the manifest of a folder. */
export type ReadManifest = typeof readPlugin

/** Reads a manifest again only when its file is another one than the last time. */
export function createManifests(): ReadManifest {
  const known = new Map<string, { print: string; found: Found }>()
  return async (folder, origin) => {
    const info = await stat(join(folder, MANIFEST_FILE)).catch(() => undefined)
    const print = info && [origin, info.ino, info.size, info.mtimeMs, info.ctimeMs].join()
    const before = known.get(folder)
    if (before && before.print === print) return before.found
    const found = await readPlugin(folder, origin)
    if (found && print) known.set(folder, { print, found })
    else known.delete(folder)
    return found
  }
}

/**
 * Looks for manifests in the configured paths, the home and the bundled folder; runs nothing. Of two with one id the
 * first of these counts.
 */
export async function discover({ home, paths, bundled, read }: {
  home: string
  paths: readonly string[]
  bundled: string
  read: ReadManifest
}): Promise<Found[]> {
  const found = new Map<string, Found>()
  const add = async (folders: string[], origin: Found['origin']) => {
    for (const folder of folders) {
      const plugin = await read(folder, origin)
      if (plugin && !found.has(plugin.id)) found.set(plugin.id, plugin)
    }
  }
  for (const path of paths) {
    const folder = isAbsolute(path) ? path : join(home, path)
    const own = await isFile(join(folder, MANIFEST_FILE))
    await add(own ? [folder] : await subfolders(folder), 'path')
  }
  await add(await subfolders(join(home, 'plugins')), 'home')
  await add(await subfolders(bundled), 'bundled')
  return [...found.values()].sort((a, b) => a.id < b.id ? -1 : 1)
}

/** Undefined when the folder has no manifest; a manifest that can't be used keeps the folder's name as its id. */
export async function readPlugin(folder: string, origin: Found['origin']): Promise<Found | undefined> {
  const file = join(folder, MANIFEST_FILE)
  if (!await isFile(file)) return undefined
  const name = folder.split(/[\\/]/).findLast(Boolean) ?? folder
  const refused = (problem: string, id = name): Found => ({ id, folder, origin, manifest: undefined, problem })
  let data: unknown
  try {
    if ((await stat(file)).size > MAX_MANIFEST) return refused(`${MANIFEST_FILE} is larger than ${MAX_MANIFEST} bytes`)
    data = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    return refused(`${MANIFEST_FILE} can't be read: ${(error as Error).message}`)
  }
  const parsed = v.safeParse(Manifest, data, { abortPipeEarly: true })
  if (parsed.success) return { id: parsed.output.id, folder, origin, manifest: parsed.output, problem: undefined }
  const issue = parsed.issues[0]
  const field = issue.path?.map((step) => String(step.key)).join('.')
  return refused(`${MANIFEST_FILE}: ${field ? `${field} ` : ''}${messageOf(issue)}`)
}

const isFile = (path: string): Promise<boolean> => stat(path).then((info) => info.isFile(), () => false)

async function subfolders(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => !name.startsWith('.')).sort().map((name) => join(folder, name))
}
