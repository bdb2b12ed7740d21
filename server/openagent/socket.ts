import { ulid } from 'ulid'
import { type Caller, can } from '../auth/principal.ts'
import type { Bus, ResourceEvent } from '../bus/bus.ts'
import { AppError } from '../errors.ts'
import type { SocketHandlers } from '../runtime/port.ts'
import type { System } from '../system/service.ts'
import { type Connection, type ConnectionDeps, createConnection } from './connection.ts'
import { createOutbox, type Outbox } from './outbox.ts'
import { isChildSession } from './translate.ts'

export type Sockets = ReturnType<typeof createSockets>

export type SocketsDeps = ConnectionDeps & {
  bus: Bus
  system: Pick<System, 'subscribe'>
  about: () => { agent_name: string; version: string }
  /** How long a client may leave no room for its frames. */
  patienceMs?: number
  /** How often it is asked whether a connected principal may still be here. */
  recheckMs?: number
}

type Client = {
  caller: Caller
  connection: Connection
  out: Outbox
  close(code: number, reason: string): void
  /** Whether its credential still holds. */
  isValid(): Promise<boolean>
  /** Kinds of resources that changed while the client was behind. */
  missed: Set<string>
}

/** Sockets of one handle, and the reader that looks out for runs which no client began. */
type Group = { clients: Set<Client>; abort: AbortController }

/** Close codes (spec openagent-api §1.1 and RFC 6455). */
const RESTARTING = 1012
const REVOKED = 1008
const DEVICE_REVOKED = 4003

/** All WebSockets at `/ws` (spec openagent-api §1). */
export function createSockets(deps: SocketsDeps) {
  const { bus, system, sessions, log, patienceMs = 30_000, recheckMs = 30_000 } = deps
  const clients = new Set<Client>()
  const groups = new Map<string, Group>()
  let stopWatching: (() => void) | undefined
  let stopped = false

  bus.subscribe((event) => {
    if (event.type === 'stopping') {
      stopped = true
      for (const client of [...clients]) client.close(RESTARTING, 'The server is restarting; connect again')
    } else if (event.type === 'principal_revoked') {
      for (const client of [...clients]) if (client.caller.id === event.id) turnOut(client)
    } else if (event.type === 'resource') tell(event)
  })

  const turnOut = ({ caller, close }: Client): void =>
    close(caller.kind === 'user' ? DEVICE_REVOKED : REVOKED, 'This credential was revoked or has expired')

  function tell({ resource, action, id, handle }: ResourceEvent): void {
    if (clients.size === 0) return
    const json = JSON.stringify({ type: 'resource_event', resource, action, ...(id === undefined ? {} : { id }) })
    for (const client of clients) {
      if (handle !== undefined && handle !== client.caller.handle) continue
      if (!can(client.caller, 'read')) continue
      if (!client.out.offer(json)) client.missed.add(resource)
      if (resource === 'session' && action === 'deleted' && id !== undefined) client.connection.forget(id)
    }
  }

  /** What happens on a clock runs only while somebody is connected. */
  function watchClock(): () => void {
    const unsubscribe = system.subscribe((snapshot) => {
      const json = JSON.stringify({ type: 'system_snapshot', snapshot })
      for (const client of clients) {
        if (can(client.caller, 'read')) client.out.offer(json)
        for (const resource of client.missed) {
          if (!client.out.offer(JSON.stringify({ type: 'resource_event', resource, action: 'changed' }))) break
          client.missed.delete(resource)
        }
      }
    })
    const timer = setInterval(() => void recheck(), recheckMs)
    ;(timer as { unref?: () => void }).unref?.()
    return () => {
      unsubscribe()
      clearInterval(timer)
    }
  }

  async function recheck(): Promise<void> {
    for (const client of [...clients]) {
      // A database that does not answer is no reason to turn anybody out.
      if (!await client.isValid().catch(() => true)) turnOut(client)
    }
  }

  function join(client: Client): void {
    clients.add(client)
    stopWatching ??= watchClock()
    const { handle } = client.caller
    const group = groups.get(handle)
    if (group) return void group.clients.add(client)
    const fresh: Group = { clients: new Set([client]), abort: new AbortController() }
    groups.set(handle, fresh)
    lookOut(client.caller, fresh).catch((error: unknown) =>
      log.error('socket.lookout_failed', 'Runs in the background are not shown to clients', { error: String(error) })
    )
  }

  function leave(client: Client): void {
    if (!clients.delete(client)) return
    const { handle } = client.caller
    const group = groups.get(handle)
    group?.clients.delete(client)
    if (group?.clients.size === 0) {
      group.abort.abort()
      groups.delete(handle)
    }
    if (clients.size > 0) return
    stopWatching?.()
    stopWatching = undefined
  }

  /** Shows runs that a schedule, a workflow or another agent began to every client of the handle (spec §1.8). */
  async function lookOut(caller: Caller, group: Group): Promise<void> {
    for await (const batch of sessions.followAll(caller, undefined, group.abort.signal)) {
      for (const { event } of batch) {
        if (event.type !== 'turn_started' || !isChildSession(event.session_id)) continue
        for (const { connection } of group.clients) connection.watch(event.session_id, event.offset - 1)
      }
    }
  }

  return {
    count: (): number => clients.size,

    /** Handlers for a client whose handshake was let in; throws `forbidden` for one that may do nothing here. */
    accept(caller: Caller, isValid: () => Promise<boolean>): SocketHandlers {
      if (!can(caller, 'read') && !can(caller, 'chat')) {
        throw new AppError('forbidden', 'This needs the scope "read" or "chat". Use a key or a browser that has it.')
      }
      let client: Client | undefined
      return {
        open(socket) {
          if (stopped) return socket.close(RESTARTING, 'The server is restarting; connect again')
          const out = createOutbox(socket, patienceMs)
          const connection = createConnection(deps, caller, socket, out)
          client = {
            caller,
            connection,
            out,
            isValid,
            missed: new Set(),
            close: (code, reason) => {
              connection.close()
              socket.close(code, reason)
            },
          }
          join(client)
          connection.begin({
            type: 'auth_ok',
            ...deps.about(),
            handle: caller.handle,
            connection_id: ulid(),
            network: null,
            network_id: null,
          }).catch((error: unknown) =>
            log.error('socket.begin_failed', 'A client could not be shown what runs', { error: String(error) })
          )
        },
        message: (_socket, data) => client?.connection.receive(data),
        close() {
          client?.connection.close()
          if (client) leave(client)
        },
      }
    },
  }
}
