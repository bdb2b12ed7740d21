import { createHash } from 'node:crypto'
import { readFile, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'

/** One file as it is now: where it really is, and a strong tag of its content. */
export type StaticFile = {
  path: string
  /** Bytes. */
  size: number
  etag: string
  /** Whatever was derived from the content when it was hashed. */
  csp?: string
}

/** Errors that mean "no such file" to who asks for one. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG', 'ELOOP', 'EACCES'])

/**
 * Finds files inside `root`, also through symlinks as long as they stay inside. A file is read and hashed once for each
 * state (size and time of change) that it is seen in. `derive` may read something off an HTML page at that time.
 */
export function createFileFinder(
  root: string,
  derive: (html: string) => string,
): (path: string) => Promise<StaticFile | undefined> {
  const known = new Map<string, { file: StaticFile; mtimeMs: number }>()
  let base: string | undefined
  return async (path) => {
    try {
      base ??= await realpath(root)
      const real = await realpath(join(base, path))
      if (!real.startsWith(base + sep)) return undefined
      const now = await stat(real)
      if (!now.isFile()) return undefined
      const seen = known.get(real)
      if (seen && seen.file.size === now.size && seen.mtimeMs === now.mtimeMs) return seen.file
      const bytes = await readFile(real)
      const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 27)}"`
      const csp = real.endsWith('.html') ? derive(bytes.toString()) : undefined
      const file = { path: real, size: bytes.byteLength, etag, csp }
      known.set(real, { file, mtimeMs: now.mtimeMs })
      return file
    } catch (error) {
      if (ABSENT.has((error as { code?: string }).code ?? '')) return undefined
      throw error
    }
  }
}
