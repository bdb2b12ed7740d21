import type { AttachmentInput, RunMessage, Session, SessionContext } from '$shared/sessions.ts'
import type { TurnEvent, TurnState } from '$shared/turn-events.ts'
import { api, type Fetch } from './client.ts'
import { upload } from './upload.ts'

export type SessionPage = { sessions: Session[]; nextCursor: string | null }

export type MessagePage = {
  /** Oldest first. */
  messages: RunMessage[]
  /** Of the page before this one; null when there is none. */
  nextCursor: string | null
  /** Follow the log from here: everything up to it is in `messages` and `open`. */
  offset: number
  /** The events so far of a turn that is not final. */
  open: TurnEvent[]
}

export type SentTurn = { turn_id: string; state: TurnState; position: number | null }
export type QueueItem = { turn_id: string; text: string; position: number }
export type Command = { name: string; description: string; menu_visible?: boolean; arg_source?: string | null }
export type PickerOption = { label: string; value: string; subtitle?: string; active?: boolean }
export type CommandResult = {
  text: string
  picker?: { command: string; prompt: string; options: PickerOption[] } | null
  context?: SessionContext | null
}
export type ModelOption = { runtime_id: string; label: string; subtitle?: string; default?: boolean }
export type UploadedFile = { path: string; filename: string; mime_type?: string; size?: number; kind?: string }
export type AvailableModel = { id: string; display_name?: string; kind?: string }

/** Sessions, their turns and queues, and the little of models that a conversation needs. */
export const sessions = (fetch?: Fetch) => {
  const client = api(fetch)
  const at = (id: string, rest = '') => `/api/sessions/${encodeURIComponent(id)}${rest}`
  return {
    list: (query: { q?: string; cursor?: string; limit?: number } = {}) =>
      client.get<SessionPage>('/api/sessions', { query: { limit: 50, ...query } }),
    get: (id: string) => client.get<Session>(at(id)),
    update: (id: string, change: { title?: string; model?: string | null; pinned?: boolean; queue_policy?: string }) =>
      client.patch<Session>(at(id), change),
    remove: (id: string) => client.delete(at(id)),

    messages: (id: string, before?: string, limit = 50) =>
      client.get<MessagePage>(at(id, '/messages'), { query: { limit, before } }),
    /** `key` makes it safe to send again when no answer came. */
    send: (id: string, input: { text: string; attachments?: AttachmentInput[]; model?: string }, key: string) =>
      client.post<SentTurn>(at(id, '/messages'), input, { headers: { 'idempotency-key': key } }),
    interrupt: (id: string) => client.post<{ interrupted: boolean }>(at(id, '/interrupt')),
    retry: (id: string) => client.post<SentTurn>(at(id, '/retry')),
    branch: (id: string, messageId: string, text?: string) =>
      client.post<Session>(at(id, '/branch'), { message_id: messageId, text }),
    /** Asks a model for a summary, which may take its time. */
    compact: (id: string) =>
      client.post<{ compacted: boolean; text: string }>(at(id, '/compact'), {}, { timeout: 180_000 }),
    clear: (id: string) => client.post<{ cleared: boolean }>(at(id, '/clear')),
    context: (id: string) => client.get<SessionContext>(at(id, '/context')),
    exportUrl: (id: string, format: 'markdown' | 'json') => at(id, `/export?format=${format}`),

    queue: async (id: string) => (await client.get<{ items: QueueItem[] }>(at(id, '/queue'))).items,
    /** Turns that came meanwhile, and so are left out, go to the end. */
    orderQueue: async (id: string, order: string[]) =>
      (await client.put<{ items: QueueItem[] }>(at(id, '/queue'), { order, keep_others: true })).items,
    removeQueued: (id: string, turnId: string) => client.delete(at(id, `/queue/${encodeURIComponent(turnId)}`)),
    editQueued: (id: string, turnId: string, text: string) =>
      client.patch(at(id, `/queue/${encodeURIComponent(turnId)}`), { text }),

    commands: async () => (await client.get<{ commands: Command[] }>('/api/commands')).commands,
    /** Compaction asks a model, which may take its time. */
    run: (id: string, name: string, arg?: string) =>
      client.post<CommandResult>(`/api/commands/${encodeURIComponent(name)}`, { session_id: id, arg }, {
        timeout: 180_000,
      }),

    upload: (file: File, options: Parameters<typeof upload>[2]) => upload<UploadedFile>('/api/upload', file, options),
    fileUrl: (path: string, inline = true) =>
      `/api/files?${new URLSearchParams({ path, ...(inline ? { inline: '1' } : {}) })}`,

    modelOptions: async () => (await client.get<{ options: ModelOption[] }>('/api/models/options')).options,
  }
}

export type SessionsApi = ReturnType<typeof sessions>
