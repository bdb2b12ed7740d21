import type { CreateMcpInput, InstallMcpInput, MarketplaceSearchQuery } from '../../shared/mcp.ts'
import { AppError, invalid } from '../errors.ts'
import type { McpDeps } from './deps.ts'
import { commandOf, type Filled, type RegistryServer, remoteOf, requirementsOf } from './registry-entry.ts'

const SEARCH_MS = 300_000
const DETAILS_MS = 3_600_000
const MOST_KEPT = 200

type Listing = {
  servers?: { server?: RegistryServer; _meta?: unknown }[]
  metadata?: { nextCursor?: string; count?: number }
}

/** Looks things up in an MCP registry (`mcp_client.registry_url`). What it says is text from outside. */
export function createMarketplace(deps: Pick<McpDeps, 'outbound' | 'settings' | 'now'>) {
  const { outbound, settings, now } = deps
  const kept = new Map<string, { at: number; value: Promise<unknown> }>()

  async function get(path: string, keepMs: number): Promise<unknown> {
    const url = `${settings().registry_url.replace(/\/(v0(\.1)?)?\/?$/, '')}/v0.1/${path}`
    const found = kept.get(url)
    if (found && now() - found.at < keepMs) return await found.value
    const value = ask(url)
    kept.set(url, { at: now(), value })
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!)
    // A failure is not worth keeping.
    value.catch(() => kept.delete(url))
    return await value
  }

  async function ask(url: string): Promise<unknown> {
    const response = await outbound.fetch(url, { headers: { accept: 'application/json' }, timeoutMs: 15_000 })
    if (response.status === 404) throw new AppError('not_found', 'The registry does not know this server or version')
    if (!response.ok) throw new AppError('bad_gateway', `The registry answered ${response.status}`)
    try {
      return await response.json()
    } catch (cause) {
      if (cause instanceof AppError) throw cause
      throw new AppError('bad_gateway', 'The registry answered with something else than JSON', { cause })
    }
  }

  async function details(name: string, version: string): Promise<{ server: RegistryServer; _meta?: unknown }> {
    const path = `servers/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`
    const found = await get(path, DETAILS_MS) as { server?: RegistryServer; _meta?: unknown }
    if (!found.server?.name) throw new AppError('bad_gateway', 'The registry answered without a server')
    return { server: found.server, ...(found._meta === undefined ? {} : { _meta: found._meta }) }
  }

  return {
    async search({ q, cursor, limit }: MarketplaceSearchQuery) {
      const query = new URLSearchParams({
        limit: String(limit),
        version: 'latest',
        ...(q ? { search: q } : {}),
        ...(cursor ? { cursor } : {}),
      })
      const { servers, metadata } = await get(`servers?${query}`, SEARCH_MS) as Listing
      return {
        servers: (servers ?? []).flatMap(({ server, _meta }) =>
          server ? [{ ...server, ...(_meta ? { _meta } : {}) }] : []
        ),
        ...(metadata?.nextCursor ? { nextCursor: metadata.nextCursor } : {}),
        ...(metadata?.count === undefined ? {} : { count: metadata.count }),
      }
    },

    async server(name: string, version: string) {
      const found = await details(name, version)
      return { ...found, requirements: requirementsOf(found.server) }
    },

    /** A server's settings out of the registry's words and the person's. Throws `conflict` with a free name. */
    async toServer(input: InstallMcpInput, isTaken: (name: string) => boolean): Promise<CreateMcpInput> {
      const { server } = await details(input.name, input.version ?? 'latest')
      const { kind, index } = input.choice
      const filled: Filled = {
        env: input.env ?? {},
        headers: input.headers ?? {},
        placeholders: input.placeholders ?? {},
      }
      const entry = kind === 'package' ? server.packages?.[index] : server.remotes?.[index]
      if (!entry) throw invalid('choice.index', `${input.name} has no ${kind} with the number ${index}`)
      const name = input.install_name ?? nameOf(server.name)
      if (isTaken(name)) {
        let free = 2
        while (isTaken(`${name}-${free}`)) free++
        throw new NameTaken(name, `${name}-${free}`)
      }
      const reach = kind === 'package'
        ? commandOf(server.packages![index]!, filled)
        : remoteOf(server.remotes![index]!, filled)
      const host = new URL(settings().registry_url).host
      return {
        name,
        ...reach,
        source: `marketplace:${host}/${server.name}@${server.version ?? 'latest'}`.slice(0, 400),
      }
    },
  }
}

/** Carries a name that is free, as OpenAgent's clients expect. */
export class NameTaken extends AppError {
  readonly suggested_name: string
  constructor(name: string, suggested: string) {
    super('conflict', `There is an MCP server named ${name} already`)
    this.suggested_name = suggested
  }
}

/** `io.github.owner/some-server` → `some-server`. */
const nameOf = (name: string): string =>
  (name.split('/').pop() ?? name).replace(/[^A-Za-z0-9 ._@-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 60) ||
  'server'
