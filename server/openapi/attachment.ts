import * as v from 'valibot'
import type * as turns from '../../shared/turn-events.ts'

const text = v.string()

/** A file of a message; its kind follows from its bytes. */
export const Attachment = v.object({
  type: v.picklist(['image', 'file', 'voice', 'video']),
  path: text,
  filename: text,
  mime_type: v.optional(text),
  size: v.optional(v.pipe(v.number(), v.integer())),
}) satisfies v.GenericSchema<turns.Attachment>
