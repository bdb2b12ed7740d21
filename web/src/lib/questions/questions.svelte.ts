import { createContext } from 'svelte'
import type { AnswerQuestionInput, McpQuestion } from '$shared/mcp.ts'
import { ApiError } from '../api/client.ts'
import { mcp } from '../api/mcp.ts'
import type { LiveStream } from '../stream.svelte.ts'

/** What servers ask of this person in the middle of calls, kept up to date by the stream. */
export class Questions {
  #items = $state.raw<McpQuestion[]>([])
  readonly #stream: LiveStream
  readonly #api = mcp()

  constructor(stream: LiveStream) {
    this.#stream = stream
  }

  get items(): McpQuestion[] {
    return this.#items
  }

  /** Of one conversation. */
  of(sessionId: string): McpQuestion[] {
    return this.#items.filter(({ session_id }) => session_id === sessionId)
  }

  /** Loads and follows; returns the function that ends it. */
  start(): () => void {
    const load = () => void this.#load()
    const leave = [this.#stream.onResource(['approval'], load), this.#stream.onReset(load)]
    load()
    return () => {
      for (const stop of leave) stop()
      this.#items = []
    }
  }

  /** False when somebody else, or time, was faster. Throws what the server refuses. */
  async answer(id: string, input: AnswerQuestionInput): Promise<boolean> {
    try {
      await this.#api.answer(id, input)
      this.#items = this.#items.filter((question) => question.id !== id)
      return true
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error
      await this.#load()
      return false
    }
  }

  async #load(): Promise<void> {
    // Without an answer the ones that are shown stay; the stream says when the server is back.
    this.#items = await this.#api.questions().catch(() => this.#items)
  }
}

/** The questions of this tab, for the shell and the chat. */
export const [questions, provideQuestions] = createContext<Questions>()
