import { createHash } from 'node:crypto'
import { Hono } from 'hono'
import { LogsQuery } from '../../shared/system.ts'
import type { Caller } from '../auth/principal.ts'
import { can } from '../auth/principal.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { Log } from './log.ts'
import type { LogFile } from './logs.ts'
import type { System } from './service.ts'

export type SystemRoutesDeps = {
  home: string
  build: { version: string; commit: string; build_date: string }
  system: System
  logs: Pick<LogFile, 'recent' | 'clear'> & Log
  /** The name that the configuration gives the agent. */
  agentName: () => string
  connectedClients: () => number
  /** Why the server can't do its work now: the database is not writable, the disk is full. Empty when it can. */
  unready: () => Promise<string[]>
  /** Begins a graceful restart and returns at once. */
  restart: (caller: Caller) => void | Promise<void>
}

/** Strangers may ask, so that the check, which writes, is made at most this often. */
const READY_EVERY_MS = 1000

/** The longest a readiness check may take before it counts as failed. */
const READY_MS = 2000

/** Routes with their whole paths; mounted at the root. */
export function systemRoutes(deps: SystemRoutesDeps): Hono<AppEnv> {
  const { home, build, system, logs, agentName, connectedClients, restart } = deps
  const unready = atMostEvery(READY_EVERY_MS, () => withinTime(deps.unready))
  const workspaceHash = createHash('sha256').update(home).digest('hex')
  const network = { role: 'standalone', network_id: null, network_name: null, node_id: null }

  return new Hono<AppEnv>()
    .get(
      '/livez',
      operation({
        id: 'livez',
        summary: 'Whether the process runs',
        scope: 'public',
        returns: 'ok',
        media: 'text/plain',
      }),
      (c) => c.text('ok'),
    )
    .get(
      '/readyz',
      operation({
        id: 'readyz',
        summary: 'Whether the server can do its work',
        description: 'The reasons of a 503 are for callers with the scope read.',
        scope: 'public',
        returns: '{status, workspace_hash}',
        errors: ['unavailable'],
      }),
      async (c) => {
        const reasons = await unready()
        c.header('cache-control', 'no-store')
        if (reasons.length === 0) return c.json({ status: 'ok', workspace_hash: workspaceHash })
        logs.warn('system.unready', 'The server is not ready', { reasons })
        return c.json({ status: 'unavailable', ...(mayRead(c.var.caller) ? { reasons } : {}) }, 503)
      },
    )
    .get(
      '/version',
      operation({
        id: 'version',
        summary: 'The version that runs',
        scope: 'public',
        returns: '{version, commit, build_date, variant}',
      }),
      (c) => c.json({ ...build, variant: 'full' }),
    )
    .get(
      '/api/health',
      operation({
        id: 'getHealth',
        summary: 'Whether the server answers',
        description: "The agent's name and the number of clients are for callers with the scope read.",
        scope: 'public',
        returns: '{status, version}, and {agent, connected_clients}',
      }),
      (c) => {
        c.header('cache-control', 'no-store')
        const open = { status: 'ok', version: build.version }
        return c.json(
          mayRead(c.var.caller) ? { ...open, agent: agentName(), connected_clients: connectedClients() } : open,
        )
      },
    )
    .get(
      '/api/system',
      operation({
        id: 'getSystem',
        summary: 'The machine and our process on it',
        description:
          'Processor, memory, disks, network, busiest processes. Rates cover the time since the last snapshot.',
        scope: 'read',
        returns: 'A snapshot',
      }),
      async (c) => c.json(await system.snapshot()),
    )
    .get(
      '/api/agent-info',
      operation({
        id: 'getAgentInfo',
        summary: 'Who this agent is',
        scope: 'read',
        returns: '{name, agent_dir, node_id, network, role, version}',
      }),
      (c) =>
        c.json({
          name: agentName(),
          agent_dir: home,
          node_id: network.node_id,
          network: network.network_name,
          role: network.role,
          version: build.version,
        }),
    )
    .get(
      '/api/network/info',
      operation({
        id: 'getNetworkInfo',
        summary: 'The network that this server belongs to',
        scope: 'read',
        returns: '{role, network_id, network_name, node_id}',
      }),
      (c) => c.json(network),
    )
    .get(
      '/api/logs',
      operation({
        id: 'listLogs',
        summary: 'The newest log entries, oldest first',
        description: 'event selects by prefix, level by importance, q by text. At most 2000 lines; 100 when left out.',
        scope: 'admin',
        query: LogsQuery,
        returns: 'A bare list of entries',
        errors: ['invalid_input'],
      }),
      async (c) => c.json(await logs.recent(c.req.valid('query'))),
    )
    .delete(
      '/api/logs',
      operation({ id: 'clearLogs', summary: 'Forget the log entries', scope: 'admin', returns: '{ok}' }),
      async (c) => {
        await logs.clear()
        // The one entry that stays tells who emptied the log.
        logs.info('log.cleared', 'The log was emptied', { by: c.var.caller.name, id: c.var.caller.id })
        return c.json({ ok: true })
      },
    )
    .post(
      '/api/restart',
      operation({
        id: 'restart',
        summary: 'Restart the server',
        description: 'Requests in flight are finished first.',
        scope: 'admin',
        returns: '{ok}',
      }),
      async (c) => {
        logs.info('system.restart', 'A restart was asked for', { by: c.var.caller.name, id: c.var.caller.id })
        await restart(c.var.caller)
        return c.json({ ok: true })
      },
    )
}

/** On public routes there may be no caller, whatever the type of the context says. */
const mayRead = (caller: Caller | undefined): boolean => caller !== undefined && can(caller, 'read')

async function withinTime(check: () => Promise<string[]>): Promise<string[]> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<string[]>((resolve) => {
    timer = setTimeout(() => resolve(['The check took too long']), READY_MS)
  })
  try {
    return await Promise.race([check(), late])
  } catch (error) {
    return [(error as Error).message]
  } finally {
    clearTimeout(timer)
  }
}

function atMostEvery<T>(ms: number, ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined
  let at = -Infinity
  return () => {
    if (!answer || performance.now() - at > ms) {
      at = performance.now()
      answer = ask()
    }
    return answer
  }
}
