import { lstat, readdir, readlink, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import process from 'node:process'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import type { PluginOrigin } from '../../shared/plugins.ts'

/** Files of one plugin that are looked at; one with more is refused. */
const MAX_FILES = 50_000
const WORLD_WRITABLE = 0o002

/**
 * Why a plugin must not be run, before any of its code is: its program or a link lies outside its folder, or others
 * than its owner may change it. Undefined when all is well.
 */
export async function gateProblem(
  { folder, origin }: { folder: string; origin: PluginOrigin },
  manifest: Manifest,
): Promise<string | undefined> {
  const root = await realpath(folder).catch(() => undefined)
  if (!root) return `its folder ${folder} is gone`
  const program = manifest.entry ?? manifest.command![0]!
  if (isAbsolute(program)) {
    return `its program ${program} must be a name that PATH finds, or a path inside its folder`
  }
  if (manifest.entry !== undefined || program.includes('/')) {
    const target = await realpath(join(folder, program)).catch(() => undefined)
    if (!target) return `its program ${program} does not exist`
    if (!isInside(root, target)) return `its program ${program} lies outside its folder`
  }
  // What comes with the server has the server's own owner and rights.
  if (origin === 'bundled' || process.platform === 'win32') return undefined
  return await rightsProblem(root)
}

/** Whether `path` is in `folder`; both with symlinks resolved. */
export function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !way.startsWith(sep)
}

async function rightsProblem(root: string): Promise<string | undefined> {
  const owners = new Set([process.getuid?.() ?? 0, 0])
  const waiting = [root]
  let seen = 0
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (++seen > MAX_FILES) return `it has more than ${MAX_FILES} files`
    const info = await lstat(path)
    const name = relative(root, path) || 'its folder'
    if (!owners.has(info.uid)) return `${name} belongs to another user (${info.uid})`
    if (info.isSymbolicLink()) {
      // A runtime that keeps a plugin to its folder follows links out of it all the same.
      const target = await realpath(path).catch(async () => resolve(dirname(path), await readlink(path)))
      if (target !== root && !isInside(root, target)) return `its link ${name} leads out of its folder, to ${target}`
      continue
    }
    if ((info.mode & WORLD_WRITABLE) !== 0) {
      return `${name} can be changed by everybody; take the right away (chmod o-w)`
    }
    if (info.isDirectory()) { for (const entry of await readdir(path)) waiting.push(join(path, entry)) }
  }
  return undefined
}
