import { constants, copyFile, lstat, mkdir, open, readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AppError } from '../errors.ts'

const DAY_MS = 24 * 3600_000
/** Where the SDK of plugins puts what came in, and where we put what goes out. */
const IN = 'incoming'
const OUT = 'outgoing'

export type MediaFiles = ReturnType<typeof createMediaFiles>

/** Files that are too large for a line, passed through the folder that a plugin may write in, and no other. */
export function createMediaFiles(deps: { folderOf: (channel: string) => string | undefined; now: () => number }) {
  const { folderOf } = deps

  /** The real path of a file that a plugin named; throws when it lies elsewhere, wherever links lead. */
  async function locate(channel: string, url: string): Promise<string> {
    const folder = folderOf(channel)
    if (folder === undefined) throw refused('only a plugin with a folder of its own may name a file')
    try {
      const [root, path] = await Promise.all([realpath(folder), realpath(fileURLToPath(url))])
      if (path.startsWith(root + sep)) return path
    } catch { /* It is not there, or no path at all: the same answer as for what may not be seen. */ }
    throw refused("it is not in the plugin's own folder")
  }

  const outFolder = (folder: string, id: string): string => join(folder, OUT, id)

  return {
    async read(channel: string, url: string, limit: number): Promise<Uint8Array> {
      const path = await locate(channel, url)
      // Neither waits for whoever would write into a pipe, nor follows a link that was put there meanwhile.
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => {
        throw refused('it could not be opened')
      })
      try {
        const info = await file.stat()
        if (!info.isFile()) throw refused('it is no file')
        if (info.size > limit) throw new AppError('too_large', `it is larger than ${limit} bytes`)
        return await file.readFile()
      } finally {
        await file.close()
      }
    },

    /** Takes away what a plugin left for us: it was kept, or nobody wants it. */
    async remove(channel: string, url: string): Promise<void> {
      const path = await locate(channel, url).catch(() => undefined)
      if (path === undefined) return
      await rm(path, { force: true }).catch(ignored)
      // The folder that was made for this one file.
      if (basename(dirname(dirname(path))) === IN) await rmdir(dirname(path)).catch(ignored)
    },

    /** A copy for a plugin to send; the same place when it is sent again. */
    async put(folder: string, id: string, { path, filename }: { path: string; filename: string }): Promise<string> {
      await mkdir(outFolder(folder, id), { recursive: true, mode: 0o700 })
      const copy = join(outFolder(folder, id), basename(filename))
      // Whole at once: the plugin may still read it for a try that it was slow with.
      await copyFile(path, `${copy}.part`)
      await rename(`${copy}.part`, copy)
      return copy
    },

    /** Takes the copy away. */
    taken: (folder: string, id: string): Promise<void> =>
      rm(outFolder(folder, id), { recursive: true, force: true }).catch(ignored),

    /** Takes away what a crash left behind: a day old, and waited for by nothing. */
    async tidy(channel: string, awaited: ReadonlySet<string>): Promise<void> {
      const folder = folderOf(channel)
      if (folder === undefined) return
      const kept = new Set(await Promise.all([...awaited].map((url) => locate(channel, url).catch(() => ''))))
      for (const part of [IN, OUT]) {
        // A plugin may have put a link in its place, which leads to files that are none of ours.
        const info = await lstat(join(folder, part)).catch(() => undefined)
        if (!info?.isDirectory()) continue
        for (const name of await readdir(join(folder, part)).catch(() => [])) {
          const path = join(folder, part, name)
          const info = await stat(path).catch(() => undefined)
          if (!info || deps.now() - info.mtimeMs < DAY_MS) continue
          const real = await realpath(path).catch(() => path)
          if ([...kept].some((used) => used === real || used.startsWith(real + sep))) continue
          await rm(path, { recursive: true, force: true }).catch(ignored)
        }
      }
    },
  }
}

const refused = (why: string): AppError => new AppError('invalid_input', why)

/** It is looked at again by the next `tidy`. */
function ignored(): void {}
