import type { HookEvent } from '../../shared/plugin-hooks.ts'

/** Something that changed, so that clients fetch it again (spec openagent-api §1.9). */
export type ResourceEvent = {
  type: 'resource'
  resource:
    | 'config'
    | 'session'
    | 'provider'
    | 'model'
    | 'mcp'
    | 'plugin'
    | 'vault'
    | 'key'
    | 'approval'
    | 'tool_rule'
    | 'scheduled_task'
    | 'workflow'
    | 'event'
    | 'channel'
    | 'channel_person'
    | 'pairing'
    | 'outbox'
  action: 'created' | 'updated' | 'deleted' | 'changed'
  id?: string
  /** Only this handle may hear of it; everybody when left out. */
  handle?: string
}

/** Everything that one feature may tell another without knowing it. */
export type BusEvent =
  | ResourceEvent
  | { type: 'stopping' }
  /** Something that plugins may hear of (`shared/plugin-hooks.ts`); whoever knows of it publishes it. */
  | { type: 'happened'; event: HookEvent; handle: string; session_id: string; data: Record<string, unknown> }
  | { type: 'principal_revoked'; id: string }
  /** A turn that waited for an answer can go on. */
  | { type: 'turn_ready'; sid: number }

/** Publish and subscribe inside the process; listeners run in order and must not throw. */
export type Bus = {
  publish(event: BusEvent): void
  /** Returns the function that unsubscribes. */
  subscribe(listener: (event: BusEvent) => void): () => void
}

export function createBus(): Bus {
  const listeners = new Set<(event: BusEvent) => void>()
  return {
    publish: (event) => {
      for (const listener of [...listeners]) listener(event)
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
