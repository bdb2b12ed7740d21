import { mkdir, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, join, sep } from 'node:path'
import { ulid } from 'ulid'
import type { AttachmentInput } from '../../shared/sessions.ts'
import type { Attachment } from '../../shared/turn-events.ts'
import type { Upload } from '../../shared/uploads.ts'
import { type Caller, demand } from '../auth/principal.ts'
import { AppError, invalid, notFound } from '../errors.ts'
import type { FileOnDisk } from '../http/file-response.ts'
import type { ContentPart } from '../models/provider.ts'
import { kindOf, sniff } from './sniff.ts'

export type Uploads = ReturnType<typeof createUploads>

/** Text files up to this size are given to the model as text. */
const MAX_INLINE_TEXT = 256 * 1024
const MAX_IMAGE = 20 * 1024 * 1024

/**
 * Files that people attach and agents make. Each handle has a folder of its own; the workspace belongs to the owner.
 * Nothing outside of these two is ever read or served.
 */
export function createUploads(deps: { home: string; maxBytes: () => number }) {
  const uploadsRoot = join(deps.home, 'uploads')
  const workspace = join(deps.home, 'workspace')

  const folderOf = (handle: string): string => join(uploadsRoot, encodeURIComponent(handle).replaceAll('.', '%2E'))

  /** The real path when it lies in a folder of this handle, after following symlinks. */
  async function locate(
    handle: string,
    path: string,
  ): Promise<{ path: string; filename: string; size: number; mtimeMs: number } | undefined> {
    if (path.includes('\0')) return undefined
    const roots = handle === 'owner' ? [folderOf(handle), workspace] : [folderOf(handle)]
    try {
      const real = await realpath(path)
      const info = await stat(real)
      if (!info.isFile()) return undefined
      for (const root of roots) {
        const realRoot = await realpath(root).catch(() => undefined)
        if (realRoot && real.startsWith(realRoot + sep)) {
          return { path: real, filename: displayName(real), size: info.size, mtimeMs: info.mtimeMs }
        }
      }
    } catch { /* it does not exist: the same answer as for what may not be seen */ }
    return undefined
  }

  /** A file of this handle, as it can be sent; throws `not_found`. */
  async function find(caller: Caller, path: string): Promise<FileOnDisk & { filename: string; mime_type: string }> {
    const file = await locate(caller.handle, path)
    if (!file) throw notFound('file', basename(path))
    const etag = `"${file.size.toString(36)}-${file.mtimeMs.toString(36)}"`
    return { ...file, etag, mime_type: await typeOf(file.path) }
  }

  return {
    locate,

    /** Stores a file whole or not at all. Throws `too_large`, `invalid_input`. */
    async save(caller: Caller, file: { name: string; bytes: Uint8Array }): Promise<Upload> {
      demand(caller, 'chat')
      const limit = deps.maxBytes()
      if (file.bytes.byteLength > limit) throw tooLarge(limit)
      if (file.bytes.byteLength === 0) throw invalid('file', 'is empty')
      const filename = safeName(file.name)
      const folder = folderOf(caller.handle)
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const path = join(folder, `${ulid()}-${filename}`)
      const temporary = `${path}.part`
      try {
        const handle = await open(temporary, 'wx', 0o600)
        try {
          await handle.writeFile(file.bytes)
          await handle.sync()
        } finally {
          await handle.close()
        }
        await rename(temporary, path)
      } catch (error) {
        await rm(temporary, { force: true })
        throw new AppError('unavailable', 'The file could not be stored; check that the disk is not full', {
          cause: error,
        })
      }
      const mime = sniff(file.bytes, filename)
      return { path, filename, mime_type: mime, size: file.bytes.byteLength, type: kindOf(mime) }
    },

    /** Checks an attachment of a message; its kind follows from the bytes, whatever the client called it. */
    async attach(caller: Caller, input: AttachmentInput, field: string): Promise<Attachment> {
      const file = await locate(caller.handle, input.path)
      if (!file) {
        throw invalid(
          field,
          'is not an uploaded file of yours; send it to POST /api/upload first and use the path from its answer',
        )
      }
      const mime = await typeOf(file.path)
      const said = input.type ?? input.kind
      // A recording is `voice` or `video` by intent, for containers hold both.
      const type = said === 'voice' && /^(audio|video)\//.test(mime) ? 'voice' : kindOf(mime)
      return { type, path: file.path, filename: input.filename ?? file.filename, mime_type: mime, size: file.size }
    },

    find,

    /** The bytes of a file of this handle and their type; throws `not_found`. */
    async read(caller: Caller, path: string): Promise<{ bytes: Uint8Array; filename: string; mime_type: string }> {
      const { path: real, filename, mime_type } = await find(caller, path)
      return { bytes: await readFile(real), filename, mime_type }
    },

    /** What a model is given of an attachment; undefined when it is only named. */
    async load(attachment: Attachment): Promise<ContentPart | undefined> {
      try {
        const info = await stat(attachment.path)
        const mime = attachment.mime_type ?? await typeOf(attachment.path)
        if (mime.startsWith('image/') && info.size <= MAX_IMAGE) {
          return { type: 'image', media_type: mime, data: (await readFile(attachment.path)).toString('base64') }
        }
        if (/^(text\/|application\/(json|yaml))/.test(mime) && info.size <= MAX_INLINE_TEXT) {
          const text = await readFile(attachment.path, 'utf8')
          return { type: 'text', text: `Attached file ${attachment.filename}:\n\n${text}` }
        }
        if (mime === 'application/pdf' && info.size <= MAX_IMAGE) {
          return {
            type: 'file',
            media_type: mime,
            filename: attachment.filename,
            data: (await readFile(attachment.path)).toString('base64'),
          }
        }
      } catch { /* deleted since: the model is told its name */ }
      return undefined
    },

    maxBytes: deps.maxBytes,
  }
}

export const tooLarge = (limit: number): AppError =>
  new AppError(
    'too_large',
    `The file is larger than ${
      limit < 1024 ** 2 ? `${limit} bytes` : `${Math.floor(limit / 1024 ** 2)} MB`
    }; raise uploads.max_bytes in the configuration to allow it`,
  )

async function typeOf(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const head = new Uint8Array(4096)
    const { bytesRead } = await file.read(head, 0, head.length, 0)
    return sniff(head.subarray(0, bytesRead), path)
  } finally {
    await file.close()
  }
}

/** Names come from strangers: no separators, no control characters, no leading dots. */
function safeName(name: string): string {
  // oxlint-disable-next-line no-control-regex
  const plain = basename(name.replaceAll('\\', '/')).replace(/[\x00-\x1f\x7f<>:"|?*[\]]/g, '').replace(/^\.+/, '')
    .trim()
  const dot = plain.lastIndexOf('.')
  const extension = dot > 0 ? plain.slice(dot).slice(0, 16) : ''
  return (plain.slice(0, 120 - extension.length).replace(/\.+$/, '') || 'file').concat(
    plain.length > 120 ? extension : '',
  )
}

/** A stored name without the id that keeps names apart. */
const displayName = (path: string): string => basename(path).replace(/^[0-9A-HJKMNP-TV-Z]{26}-/, '')
