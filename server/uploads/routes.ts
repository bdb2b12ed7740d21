import { Hono } from 'hono'
import * as v from 'valibot'
import { AppError, invalid } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { fileResponse } from '../http/file-response.ts'
import { operation } from '../http/operation.ts'
import { tooLarge, type Uploads } from './service.ts'

const MULTIPART_OVERHEAD = 64 * 1024

/** What a browser may show by itself; everything else is offered for download. */
const INLINE = /^(image\/(png|jpeg|gif|webp)|audio\/|video\/|text\/plain$)/

export const uploadRoutes = (uploads: Uploads) =>
  new Hono<AppEnv>()
    .post(
      '/api/upload',
      operation({
        id: 'uploadFile',
        summary: 'Store a file to attach to a message',
        description: 'multipart/form-data with one field named `file`.',
        scope: 'chat',
        returns: 'Upload: {path, filename, mime_type, size, type}',
        errors: ['invalid_input', 'too_large', 'unsupported_media_type'],
      }),
      async (c) => {
        const limit = uploads.maxBytes()
        if (!/^multipart\/form-data\b/i.test(c.req.header('content-type') ?? '')) {
          throw new AppError('unsupported_media_type', 'Send the file as multipart/form-data in a field named "file"')
        }
        const length = Number(c.req.header('content-length') ?? NaN)
        if (length > limit + MULTIPART_OVERHEAD) throw tooLarge(limit)
        const form = await new Response(c.req.raw.body?.pipeThrough(capped(limit + MULTIPART_OVERHEAD)), {
          headers: { 'content-type': c.req.header('content-type')! },
        }).formData().catch((error: unknown) => {
          if (error instanceof AppError) throw error
          throw (error as Error).cause instanceof AppError
            ? (error as Error).cause
            : new AppError('bad_request', 'The multipart body is broken; send the file again')
        })
        const file = form.get('file')
        if (file === null || typeof file === 'string') {
          throw invalid(
            'file',
            'is missing; send the file in a field of this name',
          )
        }
        const named = form.get('filename')
        const name = typeof named === 'string' && named !== '' ? named : file.name
        return c.json(await uploads.save(c.var.caller, { name, bytes: new Uint8Array(await file.arrayBuffer()) }))
      },
    )
    .get(
      '/api/files',
      operation({
        id: 'readFile',
        summary: 'The bytes of an uploaded or attached file',
        scope: 'converse',
        query: v.object({
          path: v.pipe(v.string('is missing'), v.minLength(1), v.maxLength(4096)),
          inline: v.optional(v.string()),
        }),
        description: 'With `Range`, a part of it, as players ask for to move about in a recording.',
        media: 'application/octet-stream',
        returns: 'The file',
        errors: ['invalid_input', 'not_found'],
      }),
      async (c) => {
        const { path, inline } = c.req.valid('query')
        const file = await uploads.find(c.var.caller, path)
        const shown = inline !== undefined && inline !== '0' && INLINE.test(file.mime_type)
        const name = encodeURIComponent(file.filename)
        const headers = new Headers({
          'content-type': shown ? file.mime_type : 'application/octet-stream',
          'content-disposition': `${shown ? 'inline' : 'attachment'}; filename*=UTF-8''${name}`,
          'content-security-policy': "default-src 'none'; sandbox",
          'x-content-type-options': 'nosniff',
          // The agent may have written it anew.
          'cache-control': 'private, no-cache',
        })
        return await fileResponse(c.req.raw, file, headers)
      },
    )

/** Stops a body that is longer than it said, or did not say. */
function capped(limit: number): TransformStream<Uint8Array, Uint8Array> {
  let size = 0
  return new TransformStream({
    transform(chunk, controller) {
      size += chunk.byteLength
      if (size > limit) controller.error(tooLarge(limit))
      else controller.enqueue(chunk)
    },
  })
}
