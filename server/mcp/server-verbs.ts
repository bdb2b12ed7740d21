import { isAbsolute } from 'node:path'
import type { CreateMcpInput, Mcp, UpdateMcpInput, UpdateMcpToolInput } from '../../shared/mcp.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError, invalid, notFound } from '../errors.ts'
import type { McpDeps } from './deps.ts'
import type { Pool } from './pool.ts'
import type { Rows } from './rows.ts'
import { type McpSpec, mergeSpec, shownSpec } from './spec.ts'
import type { McpSettings, McpStore, StoredMcp } from './store.ts'

const EMPTY: McpSpec = { command: null, args: [], url: null, env: {}, headers: {}, inputs: {}, oauth_client: null }
const PLAIN: McpSettings = {
  transport: 'auto',
  cwd: null,
  oauth: false,
  timeout_seconds: null,
  roots: [],
  trust_hints: false,
  allow_sampling: false,
  source: 'custom',
  extra: {},
}

/** Paths beside those of the servers. */
const RESERVED = new Set(['import', 'export'])

export type ServerVerbs = ReturnType<typeof createServerVerbs>

/** Adding, changing and removing servers. A change counts from the next call on; calls under way end as they began. */
export function createServerVerbs(
  deps: McpDeps & {
    store: McpStore
    rows: Rows
    pool: Pool
    learnSoon: (name: string) => void
    forgetOAuth: (name: string) => void
  },
) {
  const { store, rows, pool, secrets, bus, now } = deps

  const changed = async (
    caller: Caller,
    action: 'created' | 'updated' | 'deleted',
    name: string,
    detail: Record<string, unknown>,
  ): Promise<void> => {
    await rows.refresh()
    await deps.audit({ caller, action: `mcp.${action}`, target: name, detail })
    bus.publish({ type: 'resource', resource: 'mcp', action, id: name })
  }
  const show = (name: string): Mcp => rows.toMcp(rows.get(name), pool.stateOf(name))

  function rowOf(input: CreateMcpInput): Omit<StoredMcp, 'created_at' | 'updated_at'> {
    if (input.kind && input.kind !== 'custom') {
      throw invalid('kind', 'must be custom; what is built in is there already')
    }
    if (RESERVED.has(input.name)) throw invalid('name', `${input.name} stands for something else here; choose another`)
    const spec = mergeSpec(EMPTY, specPart(input))
    const settings = { ...PLAIN, ...settingsPart(input) }
    check(spec, settings)
    return {
      name: input.name,
      shown: shownSpec(spec),
      sealed: secrets.seal(JSON.stringify(spec)),
      settings,
      enabled: input.enabled ?? true,
      oauth_state: null,
      about: null,
    }
  }

  return {
    list: (): Mcp[] => rows.servers().map((row) => rows.toMcp(row, pool.stateOf(row.name))),
    get: show,

    /** The row that `create` would make. Throws what it would throw. */
    preview(input: CreateMcpInput): Mcp {
      const at = now()
      return rows.toMcp({ ...rowOf(input), created_at: at, updated_at: at }, pool.stateOf(input.name))
    },

    async create(caller: Caller, input: CreateMcpInput): Promise<Mcp> {
      const row = rowOf(input)
      const { enabled } = row
      if (
        rows.servers().some(({ name }) => name.toLowerCase() === input.name.toLowerCase()) ||
        !await store.add(row, now())
      ) {
        throw new AppError(
          'conflict',
          `There is an MCP server named ${input.name} already. Change it, or choose another name.`,
        )
      }
      await changed(caller, 'created', input.name, {
        command: row.shown.command,
        url: row.shown.url,
        source: row.settings.source,
      })
      if (enabled) deps.learnSoon(input.name)
      return show(input.name)
    },

    async update(caller: Caller, name: string, input: UpdateMcpInput): Promise<Mcp> {
      const before = rows.get(name)
      const old = rows.specOf(before)
      // A server moves between a program and an address by naming the other.
      const move = input.url ? { command: null, args: [] } : input.command?.length ? { url: null } : {}
      const spec = mergeSpec(old, { ...(input.url || input.command?.length ? move : {}), ...specPart(input) })
      const settings = { ...before.settings, ...settingsPart(input) }
      check(spec, settings)
      const enabled = input.enabled ?? before.enabled
      const at = Math.max(now(), before.updated_at + 1)
      const moved = spec.url !== old.url
      await store.change(name, {
        shown: shownSpec(spec),
        sealed: secrets.seal(JSON.stringify(spec)),
        settings,
        enabled,
        // A token belongs to the server that it was made for.
        ...(moved ? { oauth_state: null } : {}),
      }, at)
      if (moved) deps.forgetOAuth(name)
      pool.drop(name, !enabled)
      await changed(caller, 'updated', name, { fields: Object.keys(input) })
      if (enabled) deps.learnSoon(name)
      return show(name)
    },

    async remove(caller: Caller, name: string): Promise<void> {
      rows.get(name)
      await store.remove(name)
      deps.forgetOAuth(name)
      pool.drop(name, true)
      await changed(caller, 'deleted', name, {})
    },

    /** Switches, re-rates or accepts one tool; `name` is the server's own name of it. */
    async updateTool(caller: Caller, server: string, name: string, input: UpdateMcpToolInput): Promise<Mcp> {
      rows.get(server)
      const tool = rows.toolsOf(server).find((candidate) => candidate.name === name)
      if (!tool) throw notFound('tool', name)
      await store.changeTool(server, name, {
        ...(input.enabled === undefined ? {} : { enabled: input.enabled }),
        ...(input.effect === undefined ? {} : { effect: input.effect }),
        ...(input.accept ? { accepted: tool.definition, accepted_hash: tool.hash } : {}),
      })
      await changed(caller, 'updated', server, { tool: name, ...input })
      return show(server)
    },
  }
}

const SPEC_FIELDS = ['args', 'url', 'env', 'headers', 'inputs', 'oauth_client'] as const
const SETTING_FIELDS = [
  'transport',
  'cwd',
  'oauth',
  'timeout_seconds',
  'roots',
  'trust_hints',
  'allow_sampling',
  'source',
  'extra',
] as const

function specPart(input: UpdateMcpInput): Partial<McpSpec> {
  const { command, url } = input
  return {
    ...pick(input, SPEC_FIELDS) as Partial<McpSpec>,
    ...(command === undefined ? {} : { command: command?.length ? command : null }),
    ...(url === undefined ? {} : { url: url?.trim() || null }),
  }
}

const settingsPart = (input: UpdateMcpInput): Partial<McpSettings> =>
  pick(input, SETTING_FIELDS) as Partial<McpSettings>

const pick = (input: object, fields: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(Object.entries(input).filter(([name, value]) => fields.includes(name) && value !== undefined))

function check(spec: McpSpec, settings: McpSettings): void {
  if (!spec.command && spec.url === null) {
    throw invalid('command', 'is missing: name a program in command, or an address in url')
  }
  if (spec.command && spec.url !== null) {
    throw invalid('url', 'must be left out when there is a command, and the other way round')
  }
  if (spec.command && settings.transport !== 'stdio' && settings.transport !== 'auto') {
    throw invalid('transport', `is ${settings.transport}, which needs a url instead of a command`)
  }
  if (spec.url !== null && settings.transport === 'stdio') {
    throw invalid('transport', 'is stdio, which needs a command instead of a url')
  }
  if (spec.url !== null) checkUrl(spec.url)
  if (settings.cwd !== null && !isAbsolute(settings.cwd)) {
    throw invalid('cwd', 'must be a whole path that begins at the root')
  }
  for (const [index, path] of settings.roots.entries()) {
    if (!isAbsolute(path)) throw invalid(`roots.${index}`, 'must be a whole path that begins at the root')
  }
  const texts = [
    ...spec.command ?? [],
    ...spec.args,
    spec.url ?? '',
    ...Object.values(spec.env),
    ...Object.values(spec.headers),
  ]
  const ours = /\$\{(?:env:)?(GATEHOUSE_\w*)/.exec(texts.join('\n'))
  if (ours) throw invalid('env', `${ours[1]} belongs to this server and is given to no other program`)
  for (const name of Object.keys(spec.env)) {
    if (/^(LD_PRELOAD|LD_LIBRARY_PATH|DYLD_\w+)$/.test(name)) {
      throw invalid(`env.${name}`, 'would change the program itself; leave it out')
    }
  }
}

function checkUrl(text: string): void {
  if (text.includes('${')) return
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw invalid('url', 'must be an address such as https://mcp.example.com/mcp')
  }
  if (url.username || url.password) {
    throw invalid('url', 'must not contain a user name or password; put them into headers')
  }
}
