/** What `POST /api/upload` answers; `path` goes into the attachments of a message. */
export type Upload = {
  path: string
  filename: string
  /** Found by looking at the bytes, not by the name. */
  mime_type: string
  /** Bytes. */
  size: number
  type: 'image' | 'file' | 'voice' | 'video'
}
