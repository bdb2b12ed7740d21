import type { SessionsApi } from '$lib/api/sessions.ts'
import { explain, fieldError } from '$lib/errors.ts'
import type { AttachmentInput } from '$shared/sessions.ts'
import { type Draft, keep, kept, randomId } from './drafts.ts'

/** A file on its way to the server, or there. */
export type Upload = {
  id: string
  filename: string
  type: 'image' | 'file' | 'voice' | 'video'
  mime_type: string
  /** Bytes; null for one that came back with a draft. */
  size: number | null
  /** 0 to 1. */
  progress: number
  state: 'uploading' | 'done' | 'failed'
  /** On the server, once it is there. */
  path: string | null
  error: string | null
}

const SAVE_AFTER = 200
const MOST = 32

/** What is being typed: text and files, kept across reloads under the name of the session. */
export class Composer {
  #text = $state('')
  #uploads = $state<Upload[]>([])
  #files = new Map<string, File>()
  #aborts = new Map<string, AbortController>()
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Another tab may have the same draft open: only what was changed here is written. */
  #changed = false
  #draftName: string
  #api: SessionsApi

  /** `draftName` is the session's id, or `new`. */
  constructor(draftName: string, api: SessionsApi) {
    this.#draftName = draftName
    this.#api = api
    const draft = kept<Draft>(`draft.${draftName}`, { text: '', attachments: [] })
    this.#text = draft.text
    this.#uploads = draft.attachments.map(asUpload)
  }

  get text(): string {
    return this.#text
  }

  set text(text: string) {
    this.#text = text
    this.#changed = true
    this.#timer ??= setTimeout(() => this.save(), SAVE_AFTER)
  }

  get uploads(): readonly Upload[] {
    return this.#uploads
  }

  /** Why it cannot be sent now; undefined when it can. */
  get obstacle(): string | undefined {
    if (this.#uploads.some((upload) => upload.state === 'uploading')) return 'A file is still on its way'
    if (this.#uploads.some((upload) => upload.state === 'failed')) return 'A file could not be sent: retry or remove it'
    if (this.#text.trim() === '' && this.#uploads.length === 0) return 'Write a message first'
    return undefined
  }

  /** Uploads files, each by itself; returns how many were over the limit of one message. */
  add(files: Iterable<File>): number {
    let refused = 0
    for (const file of files) {
      if (this.#uploads.length >= MOST) refused++
      else this.#begin(file)
    }
    return refused
  }

  remove(id: string): void {
    this.#aborts.get(id)?.abort()
    this.#files.delete(id)
    this.#uploads = this.#uploads.filter((upload) => upload.id !== id)
    this.#saveChanged()
  }

  retry(id: string): void {
    const file = this.#files.get(id)
    if (file) void this.#send(id, file)
  }

  /** Hands over what was typed and empties the field; the caller now keeps it. */
  take(): Draft {
    const draft = { text: this.#text.trim(), attachments: this.#sent() }
    this.#text = ''
    this.#uploads = []
    this.#files.clear()
    this.#saveChanged()
    return draft
  }

  /** Puts a text back that could not be sent, before whatever was typed since. */
  restore(draft: Draft): void {
    this.#text = [draft.text, this.#text].filter((text) => text.trim() !== '').join('\n\n')
    this.#uploads = [...draft.attachments.map(asUpload), ...this.#uploads]
    this.#saveChanged()
  }

  /** Writes the draft now, if it was changed. */
  save(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (!this.#changed) return
    this.#changed = false
    const draft: Draft = { text: this.#text, attachments: this.#sent() }
    keep(`draft.${this.#draftName}`, draft.text || draft.attachments.length > 0 ? draft : undefined)
  }

  /** Keeps the draft under another name from now on, as when a new conversation gets its id. */
  rename(draftName: string): void {
    keep(`draft.${this.#draftName}`, undefined)
    this.#draftName = draftName
    this.#saveChanged()
  }

  close(): void {
    this.save()
    for (const abort of this.#aborts.values()) abort.abort()
  }

  #saveChanged(): void {
    this.#changed = true
    this.save()
  }

  #sent(): AttachmentInput[] {
    return this.#uploads.flatMap(({ type, path, filename, mime_type }) =>
      path === null ? [] : [{ type, path, filename, mime_type: mime_type || undefined }]
    )
  }

  #begin(file: File): void {
    const id = randomId()
    this.#files.set(id, file)
    this.#uploads.push({
      ...{ id, filename: file.name || 'pasted', type: typeOf(file.type), mime_type: file.type, size: file.size },
      ...{ progress: 0, state: 'uploading', path: null, error: null },
    })
    void this.#send(id, file)
  }

  async #send(id: string, file: File): Promise<void> {
    const abort = new AbortController()
    this.#aborts.set(id, abort)
    this.#change(id, { state: 'uploading', progress: 0, error: null })
    try {
      const onprogress = (share: number) => this.#change(id, { progress: share })
      const { path, filename } = await this.#api.upload(file, { onprogress, signal: abort.signal })
      this.#change(id, { state: 'done', progress: 1, path, filename })
      this.#files.delete(id)
      this.#saveChanged()
    } catch (error) {
      if (!abort.signal.aborted) this.#change(id, { state: 'failed', error: reason(error) })
    } finally {
      this.#aborts.delete(id)
    }
  }

  #change(id: string, change: Partial<Upload>): void {
    const upload = this.#uploads.find((known) => known.id === id)
    if (upload) Object.assign(upload, change)
  }
}

const asUpload = ({ type, path, filename, mime_type }: AttachmentInput): Upload => ({
  ...{ id: randomId(), filename: filename ?? path, type: type ?? 'file', mime_type: mime_type ?? '', size: null },
  ...{ progress: 1, state: 'done', path, error: null },
})

/** The one field of an upload needs no name. */
const reason = (error: unknown): string => {
  const refused = fieldError(error, 'file')
  return refused ? `The file ${refused}` : explain(error).what
}

function typeOf(mime: string): Upload['type'] {
  if (mime.startsWith('image/')) return 'image'
  if (mime.startsWith('audio/')) return 'voice'
  return mime.startsWith('video/') ? 'video' : 'file'
}
