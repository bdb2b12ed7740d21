import type { CapabilityCommand } from '../../shared/plugin-protocol.ts'
import { createEventQueue } from './event-queue.ts'
import type { GatewayNews } from './gateway.ts'
import type { PluginProcess, Received } from './process.ts'
import type { StateEvent } from './state.ts'

/** Milliseconds between tries to keep what a plugin said. */
const RETRY_MS = [100, 1000, 3000]

/** One process of a plugin, and what it said that waits to be kept. */
export type Run = {
  /** Undefined while it is being started. */
  process: PluginProcess | undefined
  later(event: GatewayNews | StateEvent): Received
  /** When all that it said so far has been handled. */
  idle(): Promise<void>
}

/**
 * What one process says that has to be kept, strictly one after the other: its store also changes only after the
 * messages before it are safe. When one can't be kept, nothing after it is, and the process ends, so that it can
 * say all of it again.
 */
export function createRun({ onNews, state, reply, onProblem }: {
  onNews: (event: GatewayNews) => Promise<void>
  /** Answers what the plugin asks of its store. */
  state: (event: StateEvent) => Promise<CapabilityCommand>
  reply: (message: CapabilityCommand, process: PluginProcess | undefined) => void
  onProblem: (message: string) => void
}): Run {
  let failed = false

  const queue = createEventQueue<GatewayNews | StateEvent>(async (event) => {
    if (failed) return
    try {
      if (isState(event)) reply(await state(event), run.process)
      else await insisting(() => onNews(event))
    } catch (error) {
      failed = true
      onProblem(`${event.type} could not be kept: ${(error as Error).message}`)
      run.process?.cut(`said something that could not be kept (${event.type})`)
    }
  })

  const run: Run = {
    process: undefined,
    later: (event) => ({ paced: true, wait: queue.push(event) }),
    idle: () => queue.idle(),
  }
  return run
}

/** A disk that is full for a moment is no reason to lose a message. */
async function insisting(work: () => Promise<void>): Promise<void> {
  for (const wait of RETRY_MS) {
    try {
      return await work()
    } catch {
      await new Promise((resolve) => setTimeout(resolve, wait))
    }
  }
  await work()
}

const isState = (event: { type: string }): event is StateEvent => event.type.startsWith('state_')
