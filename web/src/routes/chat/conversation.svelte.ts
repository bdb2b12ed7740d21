import { SvelteMap, SvelteSet } from 'svelte/reactivity'
import { ApiError } from '$lib/api/client.ts'
import { type Answer, approvals } from '$lib/api/approvals.ts'
import type { QueueItem, SentTurn, SessionsApi } from '$lib/api/sessions.ts'
import { toast } from '$lib/ui/toast.svelte.ts'
import { explain } from '$lib/errors.ts'
import type { QueuePolicy, Session, SessionContext } from '$shared/sessions.ts'
import type { TurnEvent } from '$shared/turn-events.ts'
import { CommandLine } from './command-line.svelte.ts'
import { Composer } from './composer.svelte.ts'
import { keep, kept, randomId } from './drafts.ts'
import { Outbox, type Outgoing } from './outbox.svelte.ts'
import { Transcript } from './transcript.svelte.ts'
import type { Turn } from './turn.ts'

/** The stream is given this long to show a sent message, ms. */
const PATIENCE = 2000

/** One open conversation: its transcript, what is typed, what is on its way, and what may be done with it. */
export class Conversation {
  readonly id: string
  readonly transcript: Transcript
  readonly composer: Composer
  readonly outbox: Outbox
  readonly commands: CommandLine
  #api: SessionsApi
  #open = new SvelteSet<string>()
  /** What becomes of messages that are being changed, by their turns. */
  #edits: SvelteMap<string, string>
  #session = $state<Session>()
  #context = $state<SessionContext>()
  /** Picked, and not yet the session's own. */
  #picked = $state<string | null>()
  #missing = $state(false)
  #fresh = $state(false)
  #stopping = $state(false)

  /** Without an id, a new conversation that the server hears of with its first message. */
  constructor(api: SessionsApi, id?: string) {
    this.#api = api
    this.#fresh = id === undefined
    this.id = id ?? `chat-${randomId()}`
    this.transcript = new Transcript((before) => api.messages(this.id, before, before === undefined ? 50 : 100))
    this.composer = new Composer(id ?? 'new', api)
    this.outbox = new Outbox(this.id, api, (turn) => this.#acknowledged(turn))
    this.commands = new CommandLine(this.id, api, (name) => this.#commanded(name))
    this.#edits = new SvelteMap(kept<[string, string][]>(`edits.${this.id}`, []))
    if (this.#fresh) this.transcript.begin()
  }

  get session(): Session | undefined {
    return this.#session
  }

  get context(): SessionContext | undefined {
    return this.#context
  }

  /** The pinned model; null follows the default. */
  get model(): string | null {
    return this.#picked === undefined ? this.#session?.model ?? null : this.#picked
  }

  /** The changed text of a message, while it is being changed to ask again from there. */
  editOf(turnId: string): string | undefined {
    return this.#edits.get(turnId)
  }

  /** The server knows no such session. */
  get missing(): boolean {
    return this.#missing
  }

  /** Nothing was sent yet. */
  get fresh(): boolean {
    return this.#fresh
  }

  get stopping(): boolean {
    return this.#stopping
  }

  /** Messages on their way that the transcript does not show yet. */
  get outgoing(): Outgoing[] {
    const turns = [...this.transcript.turns.slice(-4), ...this.transcript.waiting]
    return this.outbox.items.filter((item) =>
      !turns.some((turn) =>
        turn.id === item.turnId ||
        (item.state === 'sending' && turn.input?.text === item.text && turn.at >= item.at - 500)
      )
    )
  }

  /** Whether the reader unfolded a part; kept here, for parts far from the screen are not drawn. */
  isOpen(part: string): boolean {
    return this.#open.has(part)
  }

  toggle(part: string): void {
    if (!this.#open.delete(part)) this.#open.add(part)
  }

  async load(): Promise<void> {
    if (this.#fresh) return
    await this.transcript.load()
    const failure = this.transcript.failure
    if (failure instanceof ApiError && failure.status === 404) {
      // Its first message is still here: the session begins when that arrives.
      if (this.outbox.items.length > 0) this.transcript.begin()
      else this.#missing = true
    }
    void this.outbox.flush()
    await this.refresh()
  }

  /** Fetches what stands around the transcript: title, model, context, queue. */
  async refresh(): Promise<void> {
    if (this.#fresh || this.#missing) return
    try {
      const [session, context, queue] = await Promise.all([
        this.#api.get(this.id),
        this.#api.context(this.id),
        this.#api.queue(this.id),
      ])
      this.#session = session
      this.#context = context
      this.transcript.setQueue(queue.filter((item) => item.position > 0))
    } catch {
      // The transcript and the shell already tell that the server is away; the old values still help.
      return
    }
    await this.#pin()
  }

  /** Takes an event of any session. */
  hear(event: TurnEvent): void {
    if (event.session_id !== this.id) return
    if (event.type === 'turn_queued' && this.#askedElsewhere(event)) void this.transcript.load()
    this.transcript.apply(event)
    this.outbox.forget(event.turn_id)
    if (event.type === 'turn_finished') {
      this.#stopping = false
      void this.refresh()
    }
  }

  /** Sends what is typed. The text is kept until the server has it. */
  send(): void {
    if (this.composer.obstacle) return
    const draft = this.composer.take()
    // Until the session has it, each message names the model that was picked.
    const model = this.#picked ?? undefined
    if (this.#fresh) {
      this.#fresh = false
      this.composer.rename(this.id)
    }
    this.commands.close()
    this.outbox.add(draft, model)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    try {
      const { interrupted } = await this.#api.interrupt(this.id)
      if (!interrupted) this.#stopping = false
    } catch (error) {
      this.#stopping = false
      tell('The answer could not be stopped', error)
    }
  }

  /** Asks the last question again; the old answer leaves the page. */
  async retry(turn: Turn): Promise<void> {
    try {
      await this.#api.retry(this.id)
      this.transcript.hide(turn.id)
    } catch (error) {
      tell('It could not be asked again', error)
    }
  }

  async pickModel(model: string | null): Promise<void> {
    this.#picked = model
    await this.#pin()
  }

  async rename(title: string): Promise<void> {
    await this.#api.update(this.id, { title })
    await this.refresh()
  }

  /** What happens to a message that is sent while an answer is written. */
  async setPolicy(policy: QueuePolicy): Promise<void> {
    try {
      this.#session = await this.#api.update(this.id, { queue_policy: policy })
    } catch (error) {
      tell('The queue policy was not changed', error)
    }
  }

  beginEdit(turn: Turn): void {
    this.changeEdit(turn.id, turn.input?.text ?? '')
  }

  changeEdit(turnId: string, text: string): void {
    this.#edits.set(turnId, text)
    keep(`edits.${this.id}`, [...this.#edits])
  }

  endEdit(turnId: string): void {
    this.#edits.delete(turnId)
    keep(`edits.${this.id}`, this.#edits.size > 0 ? [...this.#edits] : undefined)
  }

  /** Asks the changed question in a new session with the history before it; returns that session's id. */
  async branch(turn: Turn, text: string): Promise<string> {
    const messageId = turn.messageId ?? (await this.#messageIdOf(turn))
    const session = await this.#api.branch(this.id, messageId, text)
    this.endEdit(turn.id)
    return session.session_id
  }

  async decide(approvalId: string, answer: Answer): Promise<void> {
    try {
      await approvals().decide(approvalId, answer)
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) toast.info('Somebody was quicker', error.message)
      else tell('The decision was not taken', error)
      await this.transcript.load()
    }
  }

  /** Takes one message out of the queue; false when it could not be: it runs by now. */
  async removeQueued(turnId: string): Promise<boolean> {
    try {
      await this.#api.removeQueued(this.id, turnId)
      return true
    } catch (error) {
      tell('The message was not taken out of the queue', error)
      return false
    } finally {
      await this.refresh()
    }
  }

  /** Sets the order of the queue. */
  async arrange(order: string[]): Promise<void> {
    const before = this.transcript.waiting.map(asItem)
    const byId = new Map(before.map((item) => [item.turn_id, item]))
    this.transcript.setQueue(order.map((id, index) => ({ ...byId.get(id)!, position: index + 1 })))
    try {
      await this.#api.orderQueue(this.id, order)
    } catch (error) {
      this.transcript.setQueue(before)
      tell('The queue could not be changed', error)
    }
    await this.refresh()
  }

  async editQueued(turnId: string, text: string): Promise<void> {
    await this.#api.editQueued(this.id, turnId, text)
    await this.refresh()
  }

  close(): void {
    this.transcript.close()
    this.composer.close()
    this.outbox.close()
  }

  /** Makes the model that was picked the session's own, once there is a session. */
  async #pin(): Promise<void> {
    const model = this.#picked
    if (model === undefined || !this.#session) return
    try {
      if (this.#session.model !== model) this.#session = await this.#api.update(this.id, { model })
    } catch (error) {
      tell('The model could not be changed', error)
    }
    // Unless another was picked meanwhile.
    if (this.#picked === model) this.#picked = undefined
  }

  async #commanded(name: string): Promise<void> {
    if (name === 'clear' || name === 'reset') await this.transcript.load()
    await this.refresh()
  }

  /** The stream brings the turn; should it have missed it, the log has it. */
  #acknowledged({ turn_id }: SentTurn): void {
    void this.refresh()
    if (this.#shows(turn_id)) return this.outbox.forget(turn_id)
    setTimeout(async () => {
      if (!this.#shows(turn_id)) await this.transcript.load()
      this.outbox.forget(turn_id)
    }, PATIENCE)
  }

  #shows(turnId: string): boolean {
    return [...this.transcript.turns, ...this.transcript.waiting].some((turn) => turn.id === turnId)
  }

  /** Another tab may have asked the last question again, which hides its old answer: only the server knows. */
  #askedElsewhere(event: Extract<TurnEvent, { type: 'turn_queued' }>): boolean {
    if (this.outbox.items.length > 0) return false
    return this.transcript.turns.at(-1)?.input?.text === event.input.text
  }

  /** A turn that came live does not carry the id of its message; the stored one does. */
  async #messageIdOf(turn: Turn): Promise<string> {
    let before: string | undefined
    do {
      const page = await this.#api.messages(this.id, before)
      const message = page.messages.find((known) => known.turn_id === turn.id && known.role === 'user')
      if (message) return message.id
      before = page.nextCursor ?? undefined
    } while (before !== undefined)
    throw new Error('This message is no longer in the conversation. Load the page again.')
  }
}

const asItem = (turn: Turn): QueueItem => ({
  turn_id: turn.id,
  text: turn.input?.text ?? '',
  position: turn.position ?? 0,
})

function tell(title: string, error: unknown): void {
  const { what, mend } = explain(error)
  toast.error(title, [what, mend].filter(Boolean).join(' '))
}
