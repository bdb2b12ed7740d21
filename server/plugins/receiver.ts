import type { FromPlugin } from '../../shared/plugin-protocol.ts'
import type { Calls } from './calls.ts'
import type { Capabilities } from './capabilities.ts'
import { GatewayError, type Ready, type Status } from './gateway.ts'
import type { Journal } from './journal.ts'
import { presentable } from './presentable.ts'
import type { Received } from './process.ts'
import type { Requests } from './requests.ts'
import type { Run } from './run.ts'
import type { Supervisor } from './supervisor.ts'

/** What a plugin said of itself since its process began. */
type About = { ready?: Ready; status?: Status; connected?: boolean }

/** What counts for the process that says it alone. */
const OF_PROCESS = new Set<FromPlugin['type']>(['ready', 'status', 'pong', 'register', 'unregister'])

/** Gives each thing that a plugin says to whom it is for, and knows what it said of itself. */
export function createReceiver({ journal, requests, pings, calls, capabilities, supervisor, counters, onStatus }: {
  journal: Journal
  requests: Requests
  pings: Requests
  calls: Calls
  capabilities: Capabilities
  supervisor: Supervisor
  counters: { events: number; dropped: number }
  /** It stands with its platform otherwise than before. */
  onStatus: () => void
}) {
  let about: About = {}

  function dropped(problem: string): Received {
    counters.dropped++
    journal.incident('dropped', problem)
    return { paced: true }
  }

  function greeted({ type: _, ...ready }: Extract<FromPlugin, { type: 'ready' }>): Received {
    about.ready = ready
    if (!/^v?1(?!\d)/.test(ready.version)) {
      journal.incident('error', `it speaks version ${ready.version} of the protocol, and this server v1alpha1`)
    }
    if (supervisor.ready()) journal.line('info', `ready: ${ready.gateway} (${ready.version})`)
    return { paced: true }
  }

  return {
    get about(): Readonly<About> {
      return about
    },

    /** The process that said it ended. */
    forget: (): void => void (about = {}),

    receive(said: FromPlugin, run: Run): Received {
      counters.events++
      const event = presentable(said, journal.redact)
      // Of a process that ended, what it said may still be read when the next one runs.
      const isPast = run.process !== supervisor.process
      if (isPast && OF_PROCESS.has(event.type)) return { paced: true }
      switch (event.type) {
        case 'command_ok':
        case 'command_error': {
          const outcome = event.type === 'command_ok'
            ? event.message_id === undefined ? {} : { message_id: event.message_id }
            : new GatewayError(event.code, event.message, { retry_after_ms: event.retry_after_ms })
          const how = requests.settle(event.request_id, outcome)
          if (how === 'settled') return { paced: false }
          return how === 'late' ? run.later(event) : dropped(`${event.type} for a request_id that was not asked`)
        }
        case 'pong':
          about.connected = event.connected
          if (pings.settle(event.request_id, {}) === 'unknown') {
            return dropped('pong for a request_id that was not asked')
          }
          return { paced: false }
        case 'ready':
          return greeted(event)
        case 'error':
          journal.incident('error', `${event.code}: ${event.message}`)
          if (event.fatal && !isPast) {
            const refused = event.code === 'unauthorized'
            supervisor.leaving(`${event.code}: ${event.message}`, { fatal: true, refused })
          }
          return run.later(event)
        case 'shutdown':
          journal.line('info', `ends: ${event.reason}`)
          if (!isPast) supervisor.leaving(event.reason)
          return run.later(event)
        case 'status': {
          const { type: _, ...status } = event
          const isNews = JSON.stringify(status) !== JSON.stringify(about.status)
          Object.assign(about, { status, connected: status.connected })
          if (isNews) onStatus()
          return { paced: true }
        }
        case 'register':
          capabilities.register(event)
          return { paced: true }
        case 'unregister':
          capabilities.unregister(event.handle)
          return { paced: true }
        case 'result':
        case 'failed':
        case 'chunk':
          return { paced: !calls.answer(event) } // A cancelled call may still be answered.
        case 'log':
          journal.line(event.level, event.fields ? `${event.message} ${JSON.stringify(event.fields)}` : event.message)
          return { paced: true }
        default:
          return run.later(event)
      }
    },
  }
}
