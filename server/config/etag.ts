import { sha256 } from './file.ts'

/** A strong entity tag (RFC 9110 §8.8.3) of a text. */
export const etagOf = (text: string): string => `"${sha256(text).slice(0, 32)}"`

/** Whether a list of tags, as in `If-Match` and `If-None-Match`, has this one; `*` is any. */
export const matches = (header: string, etag: string): boolean =>
  header.split(',').map((tag) => tag.trim().replace(/^W\//, '')).some((tag) => tag === '*' || tag === etag)
