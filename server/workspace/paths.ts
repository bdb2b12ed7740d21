import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, realpath } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { type AppError, invalid, notFound } from '../errors.ts'

/** A place in the workspace: where it really is, and how a model knows it. */
export type Place = { file: string; path: string }

/**
 * Where `given` lies, after following every link on the way. Throws `invalid_input` for what leaves the workspace,
 * whether by `..`, as an absolute path or through a link. The place itself need not exist.
 * A place has one spelling, or a rule about `private/` would not see `x/../private/`.
 */
export async function placeOf(root: string, given: string): Promise<Place> {
  if (given.includes('\0')) throw invalid('path', 'must not contain a null character')
  await mkdir(root, { recursive: true })
  const home = await realpath(root)
  const wanted = resolve(home, given)
  if (!isInside(home, wanted)) throw invalid('path', 'leads out of the workspace; give a path relative to it')
  const plain = relative(home, wanted).split(sep).join('/') || '.'
  if (given !== plain) throw invalid('path', `must be written plainly, as ${plain}`)
  const file = await real(wanted)
  if (!isInside(home, file)) throw invalid('path', 'leads out of the workspace through a link')
  return { file, path: relative(home, file).split(sep).join('/') || '.' }
}

/** Opens an ordinary file for reading; a pipe or a device, which could hang or never end, is refused. */
export async function openFile({ file, path }: Place): Promise<{ handle: FileHandle; size: number; mode: number }> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error) => {
    if (absent(error)) throw notFound('file', path)
    if (['ELOOP', 'ENXIO', 'EISDIR', 'EACCES'].includes(codeOf(error))) throw notAFile(path)
    throw inWords(error)
  })
  const info = await handle.stat()
  if (!info.isFile()) {
    await handle.close()
    throw notAFile(path)
  }
  return { handle, size: info.size, mode: info.mode & 0o777 }
}

/** Whether a failure only says that something is not there. */
export const absent = (error: unknown): boolean => ['ENOENT', 'ENOTDIR'].includes(codeOf(error))

/** What went wrong with a place, without saying where the workspace lies; what is no fault of the path stays as it is. */
export function inWords(error: unknown): unknown {
  const words: Record<string, string> = {
    ELOOP: 'is a link that leads in a circle',
    ENAMETOOLONG: 'has a name that is too long',
    EEXIST: 'lies below a file; choose another folder',
    ENOTDIR: 'lies below a file; choose another folder',
    EACCES: 'is closed to this server; its permissions forbid it',
    EPERM: 'is closed to this server; its permissions forbid it',
  }
  const found = words[codeOf(error)]
  return found === undefined ? error : invalid('path', found)
}

const notAFile = (path: string): AppError => invalid('path', `${path} is not a file that can be read`)

const isInside = (home: string, file: string): boolean => file === home || file.startsWith(home + sep)

/** The real path of the part that exists, and the rest as it is. A link that leads nowhere is refused. */
async function real(file: string): Promise<string> {
  try {
    return await realpath(file)
  } catch (error) {
    if (!absent(error)) throw inWords(error)
    const link = await lstat(file).catch(() => undefined)
    if (link?.isSymbolicLink()) throw invalid('path', 'is a link that leads nowhere')
    return join(await real(dirname(file)), file.slice(dirname(file).length).replace(/^[/\\]/, ''))
  }
}

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code ?? '')
