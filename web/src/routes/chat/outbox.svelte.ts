import { ApiError } from '$lib/api/client.ts'
import type { SentTurn, SessionsApi } from '$lib/api/sessions.ts'
import { type Draft, keepUnsent, kept, randomId, type Unsent } from './drafts.ts'

/** `waiting` for the connection; `refused` by the server until the person decides. */
export type Outgoing = Unsent & {
  state: 'sending' | 'waiting' | 'refused' | 'sent'
  error?: unknown
  turnId?: string
}

const AGAIN_AFTER = 5000

/**
 * Messages between Enter and the server's acknowledgement, kept across reloads and sent strictly in order.
 * Without a connection they wait; a refusal is shown and holds back those behind it.
 */
export class Outbox {
  #items = $state<Outgoing[]>([])
  /** Keys of those that were sent or taken out here. */
  #gone = new Set<string>()
  #busy = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #sessionId: string
  #api: SessionsApi
  #onsent: (turn: SentTurn) => void

  constructor(sessionId: string, api: SessionsApi, onsent: (turn: SentTurn) => void) {
    this.#sessionId = sessionId
    this.#api = api
    this.#onsent = onsent
    this.#items = kept<Unsent[]>(`outbox.${sessionId}`, []).map((item) => ({ ...item, state: 'waiting' }))
  }

  get items(): readonly Outgoing[] {
    return this.#items
  }

  add(draft: Draft, model?: string): void {
    this.#items.push({ ...draft, model, key: randomId(), at: Date.now(), state: 'waiting' })
    this.#save()
    void this.flush()
  }

  /** Sends what waits, one after the other. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    if (this.#busy) return
    this.#busy = true
    try {
      for (let item = this.#next(); item; item = this.#next()) {
        if (!(await this.#send(item))) break
      }
    } finally {
      this.#busy = false
    }
  }

  /** Tries a refused message once more. */
  again(key: string): void {
    const item = this.#items.find((known) => known.key === key)
    if (item) item.state = 'waiting'
    void this.flush()
  }

  /** Takes a message out, for editing or for good. */
  remove(key: string): Draft | undefined {
    const item = this.#items.find((known) => known.key === key)
    this.#items = this.#items.filter((known) => known.key !== key)
    this.#gone.add(key)
    this.#save()
    void this.flush()
    return item && $state.snapshot(item)
  }

  /** Forgets a sent message once the transcript shows its turn. */
  forget(turnId: string): void {
    this.#items = this.#items.filter((item) => item.turnId !== turnId)
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #next(): Outgoing | undefined {
    const first = this.#items.find((item) => item.state !== 'sent')
    return first?.state === 'waiting' ? first : undefined
  }

  async #send(item: Outgoing): Promise<boolean> {
    item.state = 'sending'
    const { text, attachments, model, key } = $state.snapshot(item)
    try {
      const files = attachments.length > 0 ? attachments : undefined
      const turn = await this.#api.send(this.#sessionId, { text, attachments: files, model }, key)
      item.state = 'sent'
      item.turnId = turn.turn_id
      this.#gone.add(key)
      this.#save()
      this.#onsent(turn)
      return true
    } catch (error) {
      item.error = error
      if (isPassing(error)) {
        item.state = 'waiting'
        this.#timer = setTimeout(() => void this.flush(), AGAIN_AFTER)
      } else item.state = 'refused'
      return false
    }
  }

  #save(): void {
    const unsent = this.#items.filter((item) => item.state !== 'sent')
      .map(({ key, text, attachments, model, at }) => ({ key, text, attachments, model, at }))
    keepUnsent(this.#sessionId, unsent, this.#gone)
  }
}

/** No answer, or one that says "later": worth trying again by itself. */
function isPassing(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 502 || error.status === 503)
}
