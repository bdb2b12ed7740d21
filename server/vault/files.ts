import { createHash, randomUUID } from 'node:crypto'
import { link, lstat, mkdir, open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { AppError, invalid, notFound } from '../errors.ts'
import { isSkipped, notePath } from './paths.ts'

/** Bytes; a note is text that people write. Larger files are listed but not read. */
export const MAX_FILE = 5 * 1024 * 1024

/** A file as the folder lists it. */
export type FileRow = { path: string; modified_ms: number; size: number }

/** A file's text and its state when it was read. */
export type FileText = FileRow & { content: string; hash: string }

/** The Markdown files of one folder. Paths are checked here, so nothing above can reach outside of it. */
export type VaultFiles = {
  list(): Promise<FileRow[]>
  read(path: string): Promise<FileText>
  /** Writes a new file; throws `conflict` when there is one. */
  create(path: string, content: string): Promise<string>
  /** Replaces a file whose hash is still `seen`; throws `conflict` when someone changed it. Keeps its line ends. */
  replace(path: string, content: string, seen: string): Promise<string>
}

/** Files below `folder`, which need not exist yet. Symbolic links are not followed: they may lead anywhere. */
export function createVaultFiles(folder: string): VaultFiles {
  const root = resolve(folder)
  const inTurn = createTurns()

  const read = async (given: string): Promise<FileText> => {
    const path = notePath(given)
    const file = await inside(root, path)
    const info = await lstat(file).catch(absent)
    if (!info?.isFile()) throw notFound('note', path)
    if (info.size > MAX_FILE) throw new AppError('too_large', `${path} is larger than ${MAX_FILE} bytes`)
    const bytes = await readFile(file)
    return {
      path,
      modified_ms: info.mtimeMs,
      size: info.size,
      content: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes),
      hash: hashOf(bytes),
    }
  }

  return {
    list: () => walk(root),
    read,
    create: (given, content) =>
      inTurn(async () => {
        const path = notePath(given)
        const file = await inside(root, path)
        await mkdir(dirname(file), { recursive: true })
        const bytes = encode(content, path)
        await withTemp(file, bytes, (temp) => placeNew(temp, file, path))
        return hashOf(bytes)
      }),
    replace: (given, content, seen) =>
      inTurn(async () => {
        const before = await read(given)
        if (before.hash !== seen) {
          throw new AppError('conflict', `${before.path} was changed meanwhile; read it again and repeat the change`)
        }
        const file = await inside(root, before.path)
        const { mode } = await stat(file)
        const bytes = encode(withLineEndsOf(before.content, content), before.path)
        await withTemp(file, bytes, (temp) => rename(temp, file), mode & 0o777)
        return hashOf(bytes)
      }),
  }
}

async function walk(root: string): Promise<FileRow[]> {
  const found: string[] = []
  const visit = async (folder: string): Promise<void> => {
    // A folder may vanish while a sync tool works.
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(absent)
    const folders: string[] = []
    for (const entry of entries ?? []) {
      if (isSkipped(entry.name)) continue
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (entry.isDirectory()) folders.push(path)
      else if (entry.isFile() && /\.md$/i.test(entry.name)) found.push(path)
    }
    for (const path of folders) await visit(path)
  }
  await visit('')
  const rows: FileRow[] = []
  for (let at = 0; at < found.length; at += 64) {
    const some = await Promise.all(
      found.slice(at, at + 64).map(async (path) => {
        const info = await stat(join(root, path)).catch(absent)
        return info && { path, modified_ms: info.mtimeMs, size: info.size }
      }),
    )
    for (const row of some) if (row) rows.push(row)
  }
  return rows.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** The absolute path, after making sure that no folder on the way is a link out of the vault. */
async function inside(root: string, path: string): Promise<string> {
  const file = join(root, ...path.split('/'))
  const home = await realpath(root).catch(absent)
  if (!home) return file
  for (let folder = dirname(file); folder.length >= root.length; folder = dirname(folder)) {
    const real = await realpath(folder).catch(absent)
    if (real === undefined) continue
    if (real !== home && !real.startsWith(home + sep)) throw invalid('path', 'leads out of the vault')
    break
  }
  return file
}

/** Writes a temporary file next to `file`, flushes it to the disk, and lets `place` give it its name. */
async function withTemp(
  file: string,
  bytes: Uint8Array,
  place: (temp: string) => Promise<void>,
  mode = 0o644,
): Promise<void> {
  const temp = join(dirname(file), `.${randomUUID()}.tmp`)
  try {
    const handle = await open(temp, 'wx', mode)
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await place(temp)
    await syncFolder(dirname(file))
  } finally {
    await rm(temp, { force: true })
  }
}

/** A link, unlike a rename, never replaces what is there. */
async function placeNew(temp: string, file: string, path: string): Promise<void> {
  const taken = () =>
    new AppError('conflict', `There already is a note ${path}; read it and send its hash to replace it`)
  try {
    await link(temp, file)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw taken()
    // Some file systems (exFAT, network shares) know no hard links.
    if (await stat(file).catch(absent)) throw taken()
    await rename(temp, file)
  }
}

/** Makes the new name durable; not every system lets a folder be opened. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

/** Runs one write at a time, so that comparing and replacing are one step within this process. */
function createTurns() {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work, work)
    last = result.catch(() => undefined)
    return result
  }
}

function encode(content: string, path: string): Uint8Array {
  const bytes = new TextEncoder().encode(content)
  if (bytes.length > MAX_FILE) throw new AppError('too_large', `${path} would be larger than ${MAX_FILE} bytes`)
  return bytes
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** `next` with the line ends that `before` uses, when it uses only one kind. */
function withLineEndsOf(before: string, next: string): string {
  const windows = before.match(/\r\n/g)?.length ?? 0
  const all = before.match(/\n/g)?.length ?? 0
  if (windows === 0 || windows < all) return next
  return next.replace(/\r?\n/g, '\r\n')
}

/** For `catch`: undefined when the file or a folder on its way is not there; any other failure rises. */
function absent(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined
  throw error
}

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code ?? '')
