import { ApiError } from './client.ts'

/**
 * Sends one file as a form, telling how far it is (0 to 1); `fetch` cannot report the progress of what it sends.
 * Rejects with `ApiError`, or with an `AbortError` once `signal` is aborted.
 */
export function upload<T>(
  path: string,
  file: File,
  { onprogress, signal, field = 'file' }: {
    onprogress?: (share: number) => void
    signal?: AbortSignal
    field?: string
  } = {},
): Promise<T> {
  const form = new FormData()
  form.append(field, file, file.name)
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', path)
    request.responseType = 'text'
    request.setRequestHeader('accept', 'application/json')
    request.upload.onprogress = (event) => event.lengthComputable && onprogress?.(event.loaded / event.total)
    request.onload = () => {
      const body = readJson(request.responseText)
      if (request.status >= 200 && request.status < 300) resolve(body as T)
      else reject(new ApiError(request.status, (body ?? {}) as object, { body }))
    }
    request.onerror = () => reject(new ApiError(0, { code: 'network', detail: 'The server cannot be reached.' }))
    request.onabort = () => reject(new DOMException('The upload was stopped', 'AbortError'))
    signal?.addEventListener('abort', () => request.abort(), { once: true })
    if (signal?.aborted) return reject(new DOMException('The upload was stopped', 'AbortError'))
    request.send(form)
  })
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
