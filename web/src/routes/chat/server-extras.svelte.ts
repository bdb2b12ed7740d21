import { mcp } from '$lib/api/mcp.ts'
import type { Mcp } from '$shared/mcp.ts'
import { type PromptCommand, promptCommands } from './prompts.ts'

/** What MCP servers add to the field where one writes: prompts behind the slash, and things to attach. */
export class ServerExtras {
  #prompts = $state.raw<PromptCommand[]>([])
  #sources = $state.raw<Mcp[]>([])
  readonly #api = mcp()

  get prompts(): PromptCommand[] {
    return this.#prompts
  }

  /** Servers that have something to read. */
  get sources(): Mcp[] {
    return this.#sources
  }

  /** Starts no server. Without an answer, what is known stays: writing a message needs none of it. */
  async load(): Promise<void> {
    const [prompts, servers] = await Promise.all([
      this.#api.prompts().catch(() => undefined),
      this.#api.list().catch(() => undefined),
    ])
    if (prompts) this.#prompts = promptCommands(prompts)
    if (servers) this.#sources = servers.filter(({ enabled, has_resources }) => enabled && has_resources)
  }
}
