import { createHash } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import process from 'node:process'

/** SHA-256 in hexadecimal. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The text of a file, or undefined when there is none. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

let written = 0

/**
 * Replaces a file so that a reader, or a crash, sees the old text or the new one and nothing between; through a link,
 * the file that it points to. Only the owner may read it, unless the file was already open to more.
 */
export async function writeAtomic(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const target = await realpath(path).catch(() => path)
  const mode = await stat(target).then((info) => info.mode & 0o777, () => 0o600)
  const temporary = `${target}.${process.pid}-${++written}.tmp`
  try {
    await writeDurably(temporary, text, mode)
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    // A single file mounted into a container can't be replaced, only written over.
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
    await writeDurably(target, text, mode)
  }
  await syncFolder(dirname(target))
}

async function writeDurably(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'w', mode)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes a rename in the folder survive a power cut; Windows has no such call and does not need it. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}

const POLL_MS = 2000
const SETTLE_MS = 80

/**
 * Calls back once soon after the call, and when a file appears, changes, is replaced or goes away. The file is watched rather than its folder, for
 * the database beside it changes all the time; a slow poll covers replaced files and file systems without events.
 */
export function watchFiles(paths: string[], changed: () => void): () => void {
  const watchers = new Map<string, FSWatcher>()
  const seen = new Map<string, string>()
  let settle: ReturnType<typeof setTimeout> | undefined
  let stopped = false

  const soon = () => {
    clearTimeout(settle)
    if (!stopped) settle = setTimeout(changed, SETTLE_MS)
  }
  const forget = (path: string) => {
    watchers.get(path)?.close()
    watchers.delete(path)
  }
  const follow = (path: string) => {
    try {
      const watcher = watch(path, { persistent: false }, (kind) => {
        soon()
        if (kind !== 'rename') return
        // The name now means another file, or none for a moment: follow it again.
        forget(path)
        setTimeout(() => void look(path), SETTLE_MS).unref()
      })
      watcher.on('error', () => forget(path))
      watchers.set(path, watcher)
    } catch {
      // No file yet, or no events here: the poll goes on looking.
    }
  }
  const look = async (path: string) => {
    const info = await stat(path).catch(() => undefined)
    if (stopped) return
    const print = info ? `${info.ino} ${info.mtimeMs} ${info.size}` : ''
    // The first look counts as a change: there may have been one since the caller read the file.
    const changed = seen.get(path) !== print
    seen.set(path, print)
    if (changed) forget(path)
    if (info && !watchers.has(path)) follow(path)
    if (changed) soon()
  }
  const lookAtAll = () => paths.forEach((path) => void look(path))

  lookAtAll()
  const poll = setInterval(lookAtAll, POLL_MS)
  poll.unref()
  return () => {
    stopped = true
    clearInterval(poll)
    clearTimeout(settle)
    for (const path of paths) forget(path)
  }
}
