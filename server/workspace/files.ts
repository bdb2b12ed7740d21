import { randomUUID } from 'node:crypto'
import { lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError, invalid, notFound } from '../errors.ts'
import { absent, inWords, openFile, type Place, placeOf } from './paths.ts'

/** Bytes of a file that can be read or written. */
export const MAX_FILE = 5 * 1024 * 1024
const MAX_ENTRIES = 500
/** What a search looks into at most; a folder of dependencies must not hold up the turn. */
const MAX_SEARCHED = 20_000
const MAX_SEARCHED_FILE = 1024 * 1024
const MAX_LINE = 300
const SKIPPED = new Set(['node_modules', '.git', '__pycache__'])

/** One entry of a folder. */
export type FileEntry = { name: string; type: 'file' | 'folder' | 'link' | 'other'; size?: number; modified?: string }

/** One line that a search found; line 0 is the name of the file. */
export type FileHit = { path: string; line: number; text: string }

export type WorkspaceFiles = ReturnType<typeof createWorkspaceFiles>

/** The files of the workspace folder, and nothing outside of it. */
export function createWorkspaceFiles(root: string) {
  async function read(given: string): Promise<{ place: Place; text: string; mode: number }> {
    const place = await placeOf(root, given)
    const { handle, size, mode } = await openFile(place)
    try {
      if (size > MAX_FILE) throw new AppError('too_large', `${place.path} is larger than ${MAX_FILE} bytes`)
      const bytes = await handle.readFile()
      if (bytes.includes(0)) {
        throw new AppError('unprocessable', `${place.path} is no text; it has ${bytes.length} bytes of other data`)
      }
      return { place, text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), mode }
    } finally {
      await handle.close()
    }
  }

  return {
    async list(given: string): Promise<{ path: string; entries: FileEntry[]; more?: number }> {
      const { file, path } = await placeOf(root, given)
      const found = await readdir(file, { withFileTypes: true }).catch((error) => {
        if ((error as { code?: string }).code === 'ENOTDIR') throw invalid('path', `${path} is no folder`)
        throw absent(error) ? notFound('folder', path) : inWords(error)
      })
      const sorted = found.sort((a, b) => (a.name < b.name ? -1 : 1))
      const entries = await Promise.all(
        sorted.slice(0, MAX_ENTRIES).map(async (entry): Promise<FileEntry> => {
          const { name } = entry
          if (entry.isDirectory()) return { name, type: 'folder' }
          if (entry.isSymbolicLink()) return { name, type: 'link' }
          if (!entry.isFile()) return { name, type: 'other' }
          const info = await lstat(join(file, name)).catch(() => undefined)
          return { name, type: 'file', ...(info ? { size: info.size, modified: info.mtime.toISOString() } : {}) }
        }),
      )
      const more = sorted.length - entries.length
      return { path, entries, ...(more > 0 ? { more } : {}) }
    },

    async read(given: string): Promise<{ path: string; text: string }> {
      const { place: { path }, text } = await read(given)
      return { path, text }
    },

    /** Replaces a file whole or not at all. Throws `conflict` when there is one and `overwrite` is not said. */
    async write(given: string, text: string, overwrite: boolean): Promise<{ path: string; bytes: number }> {
      const place = await placeOf(root, given)
      const before = await lstat(place.file).catch((error) => {
        if (absent(error)) return undefined
        throw error
      })
      if (before && !before.isFile()) throw invalid('path', `${place.path} is no file that can be written`)
      if (before && !overwrite) {
        throw new AppError('conflict', `${place.path} is there already; set overwrite to replace it`)
      }
      return { path: place.path, bytes: await replace(place, text, before ? before.mode & 0o777 : 0o644) }
    },

    /** Replaces a passage that occurs exactly `count` times; otherwise nothing changes. */
    async edit(given: string, old: string, next: string, count: number): Promise<{ path: string; replaced: number }> {
      const { place, text, mode } = await read(given)
      const parts = text.split(old)
      const found = parts.length - 1
      if (found === 0) throw invalid('old_text', `is not in ${place.path}; read the file and copy the passage exactly`)
      if (found !== count) {
        throw invalid(
          'old_text',
          `occurs ${found} times in ${place.path}; add lines around it, or set count to ${found}`,
        )
      }
      await replace(place, parts.join(next), mode)
      return { path: place.path, replaced: found }
    },

    /** Lines and file names that have the text, whatever its case. */
    async search(query: string, given: string, limit: number, signal: AbortSignal) {
      const start = await placeOf(root, given)
      const info = await lstat(start.file).catch((error) => {
        throw absent(error) ? notFound('folder', start.path) : inWords(error)
      })
      const wanted = query.toLowerCase()
      const hits: FileHit[] = []
      let searched = 0
      for await (const path of info.isFile() ? [start.path] : walk(start)) {
        if (hits.length >= limit || searched >= MAX_SEARCHED) return { results: hits, searched, complete: false }
        signal.throwIfAborted()
        searched++
        if (path.slice(path.lastIndexOf('/') + 1).toLowerCase().includes(wanted)) {
          hits.push({ path, line: 0, text: path })
        }
        for (const hit of await linesWith(path, wanted, limit - hits.length)) hits.push(hit)
      }
      return { results: hits, searched, complete: true }
    },
  }

  async function linesWith(path: string, wanted: string, limit: number): Promise<FileHit[]> {
    const info = await lstat(join(root, path)).catch(() => undefined)
    if (!info?.isFile() || info.size > MAX_SEARCHED_FILE) return []
    const found = await read(path).catch((error) => {
      // Gone meanwhile, not ours to read, or no text.
      if (error instanceof AppError) return undefined
      throw error
    })
    if (!found || !found.text.toLowerCase().includes(wanted)) return []
    const hits: FileHit[] = []
    for (const [i, line] of found.text.split('\n').entries()) {
      if (hits.length >= limit) break
      const at = line.toLowerCase().indexOf(wanted)
      if (at >= 0) hits.push({ path, line: i + 1, text: line.slice(Math.max(0, at - 100), at + MAX_LINE).trim() })
    }
    return hits
  }
}

/** Paths of the ordinary files below a place; links are not followed. */
async function* walk({ file, path }: Place): AsyncGenerator<string> {
  const entries = await readdir(file, { withFileTypes: true }).catch((error) => {
    if (absent(error)) return []
    throw error
  })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const below = path === '.' ? entry.name : `${path}/${entry.name}`
    if (entry.isFile()) yield below
    else if (entry.isDirectory() && !SKIPPED.has(entry.name)) yield* walk({ file: join(file, entry.name), path: below })
  }
}

/** Writes beside the file, flushes, renames: a crash leaves the old text or the new one. */
async function replace({ file, path }: Place, text: string, mode: number): Promise<number> {
  const bytes = new TextEncoder().encode(text)
  if (bytes.length > MAX_FILE) throw new AppError('too_large', `${path} would be larger than ${MAX_FILE} bytes`)
  try {
    return await put(file, bytes, mode)
  } catch (error) {
    throw inWords(error)
  }
}

async function put(file: string, bytes: Uint8Array, mode: number): Promise<number> {
  await mkdir(dirname(file), { recursive: true })
  const temp = join(dirname(file), `.${randomUUID()}.tmp`)
  try {
    const handle = await open(temp, 'wx', mode)
    try {
      await handle.writeFile(bytes)
      await handle.chmod(mode)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temp, file)
  } finally {
    await rm(temp, { force: true })
  }
  return bytes.length
}
