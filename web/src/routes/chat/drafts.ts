import type { AttachmentInput } from '$shared/sessions.ts'

/** What a person has typed and not sent. */
export type Draft = { text: string; attachments: AttachmentInput[] }

/** A message that was sent off and not yet acknowledged; `key` makes sending it again harmless. */
export type Unsent = Draft & { key: string; model?: string; at: number }

const PREFIX = 'gatehouse.chat.'

/** Reads what was kept under `name`; a full or forbidden storage is no reason to fail. */
export function kept<T>(name: string, fallback: T): T {
  try {
    const text = localStorage.getItem(PREFIX + name)
    return text === null ? fallback : (JSON.parse(text) as T)
  } catch {
    return fallback
  }
}

/** Keeps `value` across reloads; undefined forgets it. */
export function keep(name: string, value: unknown): void {
  try {
    if (value === undefined) localStorage.removeItem(PREFIX + name)
    else localStorage.setItem(PREFIX + name, JSON.stringify(value))
  } catch {
    // Storage is full or forbidden: the text still stands in the page.
  }
}

/** Another tab on the same session keeps its own unsent messages beside ours; `gone` are those that we no longer have. */
export function keepUnsent(sessionId: string, own: Unsent[], gone: ReadonlySet<string>): void {
  const name = `outbox.${sessionId}`
  const others = kept<Unsent[]>(name, []).filter(({ key }) => !gone.has(key) && !own.some((item) => item.key === key))
  const all = [...others, ...own].sort((a, b) => a.at - b.at)
  keep(name, all.length > 0 ? all : undefined)
}

/** Sessions with messages that the server has not got yet, and what the first of them says. */
export function unsentSessions(): { id: string; text: string }[] {
  const start = `${PREFIX}outbox.`
  return storedNames().filter((name) => name.startsWith(start)).flatMap((name) => {
    const id = name.slice(start.length)
    const [first] = kept<Unsent[]>(`outbox.${id}`, [])
    return first ? [{ id, text: first.text || 'Attached files' }] : []
  })
}

function storedNames(): string[] {
  try {
    return Object.keys(localStorage)
  } catch {
    return []
  }
}

/** A random id that also works on plain http, where `crypto.randomUUID` is missing. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
