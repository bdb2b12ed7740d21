import type { TurnEvent } from '$shared/turn-events.ts'
import { isFinal } from '$shared/turn-events.ts'
import type { MessagePage } from '$lib/api/sessions.ts'
import { applyEvent, emptyTurn, textOf, type Turn, turnsOf } from './turn.ts'

/** Fetches a page of messages, the newest or those before a cursor. */
type FetchPage = (before?: string) => Promise<MessagePage>

/**
 * The turns of one session. Stored pages, the events of a turn that is open, and live events go through one reducer;
 * an offset that was seen is ignored, so that replay and live may overlap.
 */
export class Transcript {
  #turns = $state<Turn[]>([])
  #waiting = $state<Turn[]>([])
  #status = $state<'loading' | 'ready' | 'failed'>('loading')
  #failure = $state<unknown>()
  #cursor = $state<string | null>(null)
  #loadingOlder = $state(false)
  #olderFailure = $state<unknown>()
  #announcement = $state('')
  #seen = 0
  #pending: TurnEvent[] = []
  #early: TurnEvent[] | undefined = []
  #frame = 0
  #loading: Promise<void> | undefined
  #again = false
  #fetchPage: FetchPage

  /** The messages are not there yet: `load` or `begin` comes first. */
  constructor(fetchPage: FetchPage) {
    this.#fetchPage = fetchPage
  }

  /** Turns that have begun, oldest first. */
  get turns(): readonly Turn[] {
    return this.#turns
  }

  /** Turns that wait behind the running one, next first. */
  get waiting(): readonly Turn[] {
    return this.#waiting
  }

  get status(): 'loading' | 'ready' | 'failed' {
    return this.#status
  }

  get failure(): unknown {
    return this.#failure
  }

  get hasOlder(): boolean {
    return this.#cursor !== null
  }

  get loadingOlder(): boolean {
    return this.#loadingOlder
  }

  get olderFailure(): unknown {
    return this.#olderFailure
  }

  /** What a screen reader is told: the last answer that became final. */
  get announcement(): string {
    return this.#announcement
  }

  /** The turn that is being answered now. */
  get running(): Turn | undefined {
    const last = this.#turns.at(-1)
    return last && !isFinal(last.state) ? last : undefined
  }

  /** A session that does not exist yet: nothing to fetch. */
  begin(): void {
    this.#status = 'ready'
    this.#early = undefined
  }

  /**
   * Fetches the newest page; what arrives live meanwhile is kept and applied after it. Also mends a gap after `reset`.
   * Asked for while one is under way, it fetches once more: that one may have been answered too early.
   */
  load(): Promise<void> {
    this.#again = this.#loading !== undefined
    this.#loading ??= this.#loadAll()
    return this.#loading
  }

  async #loadAll(): Promise<void> {
    this.#flush()
    this.#early ??= []
    try {
      let page: MessagePage
      do {
        this.#again = false
        page = await this.#fetchPage()
      } while (this.#again)
      this.#place(page)
      this.#status = 'ready'
      this.#failure = undefined
    } catch (error) {
      this.#failure = error
      if (this.#status !== 'ready') this.#status = 'failed'
    } finally {
      // At once, or a call that comes before the promise settles would be taken for part of this one.
      this.#loading = undefined
      const early = this.#early
      this.#early = undefined
      for (const event of early) this.apply(event)
    }
  }

  async loadOlder(): Promise<void> {
    if (this.#loadingOlder || this.#cursor === null) return
    this.#loadingOlder = true
    this.#olderFailure = undefined
    try {
      const page = await this.#fetchPage(this.#cursor)
      this.#turns = joined(turnsOf(page.messages), this.#turns)
      this.#cursor = page.nextCursor
    } catch (error) {
      this.#olderFailure = error
    } finally {
      this.#loadingOlder = false
    }
  }

  /** Takes one live event; changes reach the page once a frame. */
  apply(event: TurnEvent): void {
    if (this.#early) {
      this.#early.push(event)
      return
    }
    this.#pending.push(event)
    // A hidden tab gets no frames, not even one that it asked for before, yet must not pile up events.
    if (document.hidden) this.#flush()
    else this.#frame ||= requestAnimationFrame(() => this.#flush())
  }

  /** Takes a turn out of the page, as when it is asked again. */
  hide(turnId: string): void {
    this.#turns = this.#turns.filter((turn) => turn.id !== turnId)
  }

  /** The queue as the server now has it: order, removals and changed texts. */
  setQueue(items: readonly { turn_id: string; text: string; position: number }[]): void {
    // An answer that was overtaken by the stream may still list a turn that has begun.
    const begun = new Set(this.#turns.map((turn) => turn.id))
    this.#waiting = items.filter((item) => !begun.has(item.turn_id)).map((item) => {
      const known = this.#waiting.find((turn) => turn.id === item.turn_id) ?? emptyTurn(item.turn_id, Date.now())
      return { ...known, state: 'queued', position: item.position, input: { ...known.input, text: item.text } }
    })
  }

  close(): void {
    cancelAnimationFrame(this.#frame)
  }

  #flush(): void {
    cancelAnimationFrame(this.#frame)
    this.#frame = 0
    const events = this.#pending
    this.#pending = []
    for (const event of events) this.#reduce(event)
  }

  #reduce(event: TurnEvent): void {
    if (event.offset <= this.#seen) return
    this.#seen = event.offset
    const queued = this.#waiting.findIndex((turn) => turn.id === event.turn_id)
    if (event.type === 'turn_queued' && (event.position > 0 || queued >= 0)) {
      if (queued < 0) this.#waiting.push(this.#fresh(event))
      // Another text has joined the one that waits.
      else applyEvent(this.#waiting[queued]!, event)
      return
    }
    if (queued >= 0) {
      const [turn] = this.#waiting.splice(queued, 1)
      // Taken out of the queue before it ran: it was never part of the conversation.
      if (event.type === 'turn_finished') return
      this.#turns.push(turn!)
    }
    let turn = this.#turns.findLast((known) => known.id === event.turn_id)
    if (!turn) {
      if (event.type === 'turn_finished' && event.state === 'interrupted' && event.text === '') return
      this.#turns.push(emptyTurn(event.turn_id, event.at))
      turn = this.#turns.at(-1)!
      // Folding on demand belongs to no question and has no end of its own.
      if (event.type === 'compaction') turn.state = 'completed'
    }
    applyEvent(turn, event)
    if (event.type === 'turn_finished') this.#announcement = spoken(turn)
  }

  #fresh(event: TurnEvent): Turn {
    const turn = emptyTurn(event.turn_id, event.at)
    applyEvent(turn, event)
    return turn
  }

  /** Puts the newest page in: kept turns stay where they are known, and a gap starts the list over. */
  #place(page: MessagePage): void {
    // A turn that is open is told by its events; what is stored of it already only gives the id of its message.
    const open = new Set(page.open.map((event) => event.turn_id))
    const stored = turnsOf(page.messages)
    const newest = stored.filter((turn) => !open.has(turn.id))
    const ids = new Set(newest.map((turn) => turn.id))
    const firstKnown = this.#turns.findIndex((turn) => ids.has(turn.id))
    const older = firstKnown > 0 ? this.#turns.slice(0, firstKnown) : []
    if (older.length === 0) this.#cursor = page.nextCursor
    this.#turns = [...older, ...newest]
    this.#waiting = []
    this.#seen = 0
    for (const event of page.open) this.#reduce(event)
    for (const turn of this.#turns) turn.messageId ??= stored.find((known) => known.id === turn.id)?.messageId ?? null
    this.#seen = Math.max(this.#seen, page.offset)
  }
}

/** A page boundary may lie inside a turn; its two parts become one again. */
function joined(older: Turn[], newer: Turn[]): Turn[] {
  const last = older.at(-1)
  const first = newer[0]
  if (!last || !first || last.id !== first.id) return [...older, ...newer]
  const whole = { ...first, at: last.at, input: last.input, messageId: last.messageId }
  whole.parts = [...last.parts, ...first.parts]
  return [...older.slice(0, -1), whole, ...newer.slice(1)]
}

function spoken(turn: Turn): string {
  if (turn.state === 'failed') return `The answer failed: ${turn.error?.message ?? 'unknown reason'}`
  if (turn.state === 'interrupted') return 'The answer was stopped.'
  const text = textOf(turn)
  return `Answer: ${text.length > 600 ? `${text.slice(0, 600)} … (longer)` : text}`
}
