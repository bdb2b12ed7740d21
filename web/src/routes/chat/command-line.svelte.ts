import type { CommandResult, SessionsApi } from '$lib/api/sessions.ts'
import { explain } from '$lib/errors.ts'

/** What a command answered. */
export type Reply = CommandResult & { command: string }

/** Runs slash commands on one session, one at a time, and keeps the last answer until it is closed. */
export class CommandLine {
  #reply = $state<Reply>()
  #running = $state<string>()
  #sessionId: string
  #api: SessionsApi
  #ondone: (name: string) => Promise<void>

  /** `ondone` is awaited after each command that went through. */
  constructor(sessionId: string, api: SessionsApi, ondone: (name: string) => Promise<void>) {
    this.#sessionId = sessionId
    this.#api = api
    this.#ondone = ondone
  }

  get reply(): Reply | undefined {
    return this.#reply
  }

  /** The command that is at work. */
  get running(): string | undefined {
    return this.#running
  }

  /** Whether it went through. */
  async run(name: string, arg?: string): Promise<boolean> {
    this.#running = name
    this.#reply = undefined
    try {
      this.#reply = { command: name, ...(await this.#carryOut(name, arg)) }
      await this.#ondone(name)
      return true
    } catch (error) {
      const { what, mend } = explain(error)
      this.#reply = { command: name, text: [what, mend].filter(Boolean).join(' ') }
      return false
    } finally {
      this.#running = undefined
    }
  }

  close(): void {
    this.#reply = undefined
  }

  async #carryOut(name: string, arg?: string): Promise<CommandResult> {
    if (name === 'compact') return this.#api.compact(this.#sessionId)
    if (name !== 'clear') return this.#api.run(this.#sessionId, name, arg)
    await this.#api.clear(this.#sessionId)
    return { text: 'This conversation is empty again.' }
  }
}
