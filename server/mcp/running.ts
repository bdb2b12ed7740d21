import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ulid } from '../db/ulid.ts'
import { AppError } from '../errors.ts'
import { currentRuntime } from '../runtime/current.ts'
import { createOrphans, MARK } from '../runtime/orphans.ts'
import type { ToolContext, ToolOutput } from '../tools/tool.ts'
import { connect, type Connection, explain, type Hooks } from './connect.ts'
import type { McpDeps } from './deps.ts'
import { type Fetch, guardedFetch } from './guarded-fetch.ts'
import { learnTools, promptsOf } from './pinning.ts'
import { createPool } from './pool.ts'
import type { createQuestions } from './questions.ts'
import { resultText } from './result.ts'
import type { Rows } from './rows.ts'
import type { Sampling } from './sampling.ts'
import type { McpStore, StoredMcp, StoredMcpTool } from './store.ts'
import { resolveSpec } from './variables.ts'

/** Servers asked for their tools at the same time; starting one may mean downloading it. */
const LEARN_AT_ONCE = 2
const LINES_PER_SECOND = 50

/** What a child needs to find programs, its home and the network; nothing of ours. */
const CHILD_VARIABLES =
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TMPDIR|TEMP|TMP|TERM|XDG_\w+|(https?|no|all)_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|npm_config_registry|SystemRoot|APPDATA|LOCALAPPDATA|USERPROFILE|PATHEXT|COMSPEC)$/i

export type Running = ReturnType<typeof createRunning>

/** Servers at work: opens connections, learns what they offer, and carries calls. */
export function createRunning(
  deps: McpDeps & {
    store: McpStore
    rows: () => Rows
    oauthFetch: (row: StoredMcp) => Fetch
    questions: ReturnType<typeof createQuestions>
    sampling: Sampling
  },
) {
  const { store, rows, log, bus, settings, questions } = deps
  const fetch = guardedFetch(deps.outbound)
  const workspace = join(deps.home, 'workspace')
  const orphans = createOrphans({
    file: join(deps.home, 'mcp-children'),
    onEnded: (pid) => log.warn('mcp.orphan', 'A program of an MCP server that outlived us was ended', { pid }),
  })
  /** Calls under way by server, so that a question in the middle of one finds its conversation. */
  const calling = new Map<string, Set<ToolContext>>()
  /** Nobody while calls of several people are under way: a question of one must not be read by another. */
  const callerOf = (name: string): ToolContext | undefined => {
    const contexts = [...calling.get(name) ?? []]
    return new Set(contexts.map(({ caller }) => caller.handle)).size === 1 ? contexts.at(-1) : undefined
  }
  const changed = (name: string) => bus.publish({ type: 'resource', resource: 'mcp', action: 'changed', id: name })

  const pool = createPool({
    open,
    learn,
    idleSeconds: () => settings().idle_stop_seconds,
    onState: changed,
    log,
    now: deps.now,
  })

  async function open(
    row: StoredMcp,
    hooks: Pick<Hooks, 'onLost' | 'onToolsChanged'>,
    signal: AbortSignal,
  ): Promise<Connection> {
    const variables = deps.variables()
    const spec = resolveSpec(rows().specOf(row), { env: variables, home: variables.HOME ?? deps.home, workspace })
    const { transport, cwd, roots, allow_sampling } = row.settings
    const mark = ulid()
    if (spec.command) {
      await mkdir(workspace, { recursive: true })
      await orphans.note(mark)
    }
    const signedIn = Object.keys(spec.headers).some((name) => name.toLowerCase() === 'authorization')
    return await connect({ spec, transport, cwd: cwd ?? workspace, roots }, {
      ...hooks,
      onLine: lineLog(log, row.name),
      elicit: (params, asked) => questions.ask(row.name, callerOf(row.name), params, asked),
      onElicited: (id) => questions.done(row.name, id),
      ...(allow_sampling
        ? { sample: (params, asked) => deps.sampling(row.name, callerOf(row.name), params, asked) }
        : {}),
    }, {
      runtime: await currentRuntime(),
      fetch: signedIn ? fetch : deps.oauthFetch(row),
      childEnv: Object.fromEntries(
        [...Object.entries(variables), [MARK, mark] as const].filter((entry): entry is [string, string] =>
          entry[1] !== undefined && (entry[0] === MARK || CHILD_VARIABLES.test(entry[0]))
        ),
      ),
      version: deps.version,
    }, { timeoutMs: settings().start_timeout_seconds * 1000, signal })
  }

  async function learn({ name }: StoredMcp, connection: Connection): Promise<void> {
    const listed = await connection.listTools(settings().start_timeout_seconds * 1000)
    const prompts = promptsOf(await connection.prompts(settings().start_timeout_seconds * 1000).catch(() => []))
    const row = rows().find(name)
    if (!row) return
    const about = { ...connection.about, prompts, resources: connection.hasResources }
    const known = rows().toolsOf(name)
    const { tools, refused } = learnTools(name, listed, known, row.about === null)
    const same = JSON.stringify(tools) === JSON.stringify(known)
    if (!same) await store.replaceTools(name, tools)
    const sameAbout = JSON.stringify(row.about) === JSON.stringify(about)
    if (!sameAbout) await store.note(name, about)
    await rows().refresh()
    const news = tools.filter((tool) => known.find((before) => before.name === tool.name)?.hash !== tool.hash)
    if (row.about !== null && news.length > 0) {
      log.warn(`mcp.${name}`, 'Tools changed since they were accepted, and ask again', {
        tools: news.map((tool) => tool.name),
      })
    }
    if (refused.length > 0) {
      log.warn(`mcp.${name}`, 'Tools were left out: a name twice, or too long a name or schema', { tools: refused })
    }
    if (!same || !sameAbout) changed(name)
  }

  async function call(tool: StoredMcpTool, args: Record<string, unknown>, context: ToolContext): Promise<ToolOutput> {
    const row = rows().find(tool.server)
    if (!row?.enabled) throw new AppError('unavailable', `The MCP server ${tool.server} is switched off`)
    const timeoutMs = (row.settings.timeout_seconds ?? settings().call_timeout_seconds) * 1000
    const once = (connection: Connection) => {
      // Learned again with each connection: what was judged must be what runs.
      const now = rows().toolsOf(tool.server).find(({ name }) => name === tool.name)
      if (now?.hash !== tool.hash) {
        throw new AppError(
          'conflict',
          `${tool.name} of ${tool.server} changed or is gone since this call was made. Look at it anew.`,
        )
      }
      const run = () =>
        connection.call(tool.name, args, { signal: context.signal, timeoutMs, onProgress: context.progress })
      return run().catch(async (error: unknown) => {
        // It did nothing yet, for somebody has to visit a page of it first.
        if (await questions.visit(tool.server, context, error)) return await run()
        throw error
      })
    }
    const active = calling.get(tool.server) ?? new Set()
    calling.set(tool.server, active.add(context))
    try {
      const result = await pool.use(row, async (connection) => {
        try {
          return await once(connection)
        } catch (error) {
          // The server forgot our session and so did nothing (404); the next connection begins a new one.
          if ((error as { code?: unknown }).code !== 404) throw error
          pool.reset(row.name, connection)
          return await pool.use(row, once, { signal: context.signal })
        }
      }, { signal: context.signal })
      return await resultText(result, (file) => deps.keepFile(context.caller, file))
    } catch (error) {
      if (context.signal.aborted) throw error
      const timedOut = (error as { code?: unknown }).code === -32001
      return {
        ok: false,
        text: timedOut
          ? `The MCP server ${tool.server} did not answer within ${
            timeoutMs / 1000
          } s; whether it did something is not known.`
          : `The MCP server ${tool.server} could not do this: ${explain(error)}`,
      }
    } finally {
      active.delete(context)
    }
  }

  const waiting: string[] = []
  let learning = 0
  /** Asks a server for its tools in the background, a few at a time. */
  function learnSoon(name: string): void {
    if (waiting.includes(name)) return
    waiting.push(name)
    next()
  }
  function next(): void {
    if (learning >= LEARN_AT_ONCE) return
    const name = waiting.shift()
    if (name === undefined) return
    const row = rows().find(name)
    if (!row?.enabled) return next()
    learning++
    // The row shows why it failed.
    pool.use(row, () => Promise.resolve(), { brief: true }).catch(() => {}).finally(() => {
      learning--
      next()
    })
  }

  return {
    pool,
    endOrphans: orphans.end,
    call,
    learnSoon,

    /** Something else than a call, asked by a person. Throws `bad_gateway` with the server's own words. */
    async ask<T>(name: string, work: (connection: Connection, timeoutMs: number) => Promise<T>): Promise<T> {
      const row = rows().get(name)
      if (!row.enabled) throw new AppError('conflict', `The MCP server ${name} is switched off; enable it first`)
      const timeoutMs = (row.settings.timeout_seconds ?? settings().call_timeout_seconds) * 1000
      try {
        return await pool.use(row, (connection) => work(connection, timeoutMs))
      } catch (error) {
        throw new AppError('bad_gateway', `The MCP server ${name} could not do this: ${explain(error)}`, {
          cause: error,
        })
      }
    },

    /** Connects now, whatever failed before. Throws `bad_gateway` with the reason. */
    async start(name: string): Promise<void> {
      const row = rows().get(name)
      if (!row.enabled) throw new AppError('conflict', `The MCP server ${name} is switched off; enable it first`)
      pool.forgive(name)
      await pool.use(row, () => Promise.resolve()).catch((error: unknown) => {
        throw new AppError('bad_gateway', `The MCP server ${name} could not be started: ${explain(error)}`, {
          cause: error,
        })
      })
    },

    stop: async (): Promise<void> => {
      waiting.length = 0
      questions.close()
      await pool.stop()
      await orphans.clear()
    },
  }
}

/** What a server writes beside its answers, into our log; a flood is counted instead. */
function lineLog(log: McpDeps['log'], name: string): (line: string) => void {
  let second = 0
  let count = 0
  return (line) => {
    const now = Math.floor(Date.now() / 1000)
    if (now !== second) {
      if (count > LINES_PER_SECOND) log.info(`mcp.${name}`, `(${count - LINES_PER_SECOND} lines left out)`)
      second = now
      count = 0
    }
    if (++count <= LINES_PER_SECOND) log.info(`mcp.${name}`, line.slice(0, 2000))
  }
}
