import type { SessionsApi } from '$lib/api/sessions.ts'
import type { Session } from '$shared/sessions.ts'
import { unsentSessions } from './drafts.ts'

/** Sessions under one heading, newest first. */
export type Group = { title: string; sessions: Session[] }

const SEARCH_AFTER = 200
/** Time to undo a deletion, ms. */
export const UNDO_FOR = 6000

/** The list beside the conversation: searched by the server, pinned first, then by day. */
export class SessionList {
  #sessions = $state<Session[]>([])
  #unsent = $state<{ id: string; text: string }[]>([])
  #cursor = $state<string | null>(null)
  #query = $state('')
  #status = $state<'loading' | 'ready' | 'failed'>('loading')
  #failure = $state<unknown>()
  #leaving = $state<string[]>([])
  #deletions = new Map<string, ReturnType<typeof setTimeout>>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #request = 0
  #api: SessionsApi

  constructor(api: SessionsApi) {
    this.#api = api
  }

  get query(): string {
    return this.#query
  }

  set query(query: string) {
    this.#query = query
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.load(), SEARCH_AFTER)
  }

  get status(): 'loading' | 'ready' | 'failed' {
    return this.#status
  }

  get failure(): unknown {
    return this.#failure
  }

  get hasMore(): boolean {
    return this.#cursor !== null
  }

  /** Sessions whose messages still wait in this browser. */
  get unsent(): readonly { id: string; text: string }[] {
    return this.#unsent
  }

  get groups(): Group[] {
    return grouped(this.#sessions.filter((session) => !this.#leaving.includes(session.session_id)), new Date())
  }

  async load(): Promise<void> {
    const request = ++this.#request
    this.#unsent = unsentSessions()
    try {
      const limit = Math.min(200, Math.max(50, this.#sessions.length))
      const page = await this.#api.list({ q: this.#query.trim() || undefined, limit })
      // An answer that was overtaken by a newer question is of no use.
      if (request !== this.#request) return
      this.#sessions = page.sessions
      this.#cursor = page.nextCursor
      this.#status = 'ready'
      this.#failure = undefined
    } catch (error) {
      if (request !== this.#request) return
      this.#failure = error
      this.#status = 'failed'
    }
  }

  async more(): Promise<void> {
    if (this.#cursor === null) return
    const request = this.#request
    const page = await this.#api.list({ q: this.#query.trim() || undefined, cursor: this.#cursor })
    if (request !== this.#request) return
    const known = new Set(this.#sessions.map((session) => session.session_id))
    this.#sessions = [...this.#sessions, ...page.sessions.filter((session) => !known.has(session.session_id))]
    this.#cursor = page.nextCursor
  }

  /** Marks the session as answering or not, before the list is fetched again. */
  setLive(id: string, live: boolean): void {
    const session = this.#sessions.find((known) => known.session_id === id)
    if (session) session._live = live
  }

  async update(id: string, change: { title?: string; pinned?: boolean }): Promise<void> {
    await this.#api.update(id, change)
    await this.load()
  }

  /** Hides the session and deletes it when the time to undo is over. */
  remove(id: string, onfail: (error: unknown) => void): void {
    this.#leaving = [...this.#leaving, id]
    this.#deletions.set(id, setTimeout(() => void this.#delete(id, onfail), UNDO_FOR))
  }

  keep(id: string): void {
    clearTimeout(this.#deletions.get(id))
    this.#deletions.delete(id)
    this.#leaving = this.#leaving.filter((known) => known !== id)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.settle()
  }

  /** Carries out deletions that still wait, as when the page closes. */
  settle(): void {
    for (const id of [...this.#deletions.keys()]) void this.#delete(id, () => {})
  }

  async #delete(id: string, onfail: (error: unknown) => void): Promise<void> {
    clearTimeout(this.#deletions.get(id))
    this.#deletions.delete(id)
    try {
      await this.#api.remove(id)
      this.#sessions = this.#sessions.filter((session) => session.session_id !== id)
    } catch (error) {
      onfail(error)
    } finally {
      this.#leaving = this.#leaving.filter((known) => known !== id)
    }
  }
}

function grouped(sessions: Session[], now: Date): Group[] {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime() / 1000
  const groups = new Map<string, Session[]>()
  const pinned = sessions.filter((session) => session.pinned)
  if (pinned.length > 0) groups.set('Pinned', pinned)
  for (const session of sessions) {
    if (session.pinned) continue
    const title = heading(session.last_active_at, midnight)
    groups.set(title, [...(groups.get(title) ?? []), session])
  }
  return [...groups].map(([title, list]) => ({ title, sessions: list }))
}

const DAY = 86_400

function heading(at: number, midnight: number): string {
  if (at >= midnight) return 'Today'
  if (at >= midnight - DAY) return 'Yesterday'
  if (at >= midnight - 6 * DAY) return 'Last 7 days'
  if (at >= midnight - 29 * DAY) return 'Last 30 days'
  return new Date(at * 1000).toLocaleDateString(undefined, { month: 'long', year: 'numeric' })
}
