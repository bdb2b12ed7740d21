import {
  type Config,
  type ConfigProblem,
  type ConfigVersion,
  DATABASE_SECTIONS,
  type EffectiveConfig,
} from '../../shared/config.ts'
import { type Caller, demand } from '../auth/principal.ts'
import type { Bus } from '../bus/bus.ts'
import { invalid, notFound } from '../errors.ts'
import { etagOf } from '../http/etag.ts'
import type { Log } from '../system/log.ts'
import { maskText, parse, rewrite, unmaskText } from './document.ts'
import type { Environment } from './environment.ts'
import { readText, sha256, watchFiles, writeAtomic } from './file.ts'
import { secretValues, withReferences } from './layers.ts'
import { configPath, type ConfigSources, dotenvPath, evaluate, keepGood, loadConfig, type Loaded } from './load.ts'
import { brokenFile, changedMeanwhile, checkMatch, refusal, report, unwritable } from './refusals.ts'
import { masked, unmasked } from './secrets.ts'
import type { ConfigStore, StoredVersion } from './store.ts'
import { mergePatch, same, type Values, withValue } from './values.ts'

/** Hears of each configuration that comes into force, with the names of the sections that differ. */
export type ConfigListener = (current: Config, before: Config, sections: string[]) => void

/** What a write answers. */
export type ConfigWritten = { etag: string; restartRequired: boolean }

export type ConfigService = {
  /** What is in force now; frozen, and cheap to ask for. */
  current(): Config
  /** By dotted path. */
  origins(): Loaded['origins']
  /** Of the file as it was last read. */
  etag(): string
  /** The file's own text, secrets included: never for an answer. */
  raw(): string
  problems(): ConfigProblem[]
  /** `.env` in the home below the environment of the process. */
  variables(): Environment
  /** Secrets in force, for the log to hide. */
  secrets(): string[]
  /** The file's settings, references unresolved, secrets masked. */
  file(caller: Caller): unknown
  /** The file's text, secrets masked. */
  yaml(caller: Caller): Promise<string>
  effective(caller: Caller): EffectiveConfig
  validate(caller: Caller, yaml: string): Promise<ConfigProblem[]>
  /** The whole file: settings (sections of the database are dropped), or YAML text. */
  replace(caller: Caller, next: Values | string, ifMatch?: string): Promise<ConfigWritten>
  /** One section: a merge patch (RFC 7396); `channels` is replaced whole; null removes. */
  patchSection(
    caller: Caller,
    section: string,
    value: unknown,
    ifMatch?: string,
  ): Promise<ConfigWritten & { value: unknown }>
  history(caller: Caller): Promise<ConfigVersion[]>
  version(caller: Caller, id: number): Promise<ConfigVersion & { yaml: string }>
  restore(caller: Caller, id: number, ifMatch?: string): Promise<ConfigWritten>
  /** Returns the function that unsubscribes. */
  onChange(listener: ConfigListener): () => void
  /** Reads the file again now, as happens by itself soon after a change; what is wrong with it is logged. */
  reload(): Promise<void>
  /** Ends the watching of the file and waits for a write that is under way. */
  stop(): Promise<void>
}

export type ConfigDeps = ConfigSources & {
  store: ConfigStore
  bus: Bus
  log: Log
  now?: () => Date
  /** Told of every change that a caller made; an edit of the file is in the history only. */
  audit?: (entry: { caller: Caller; action: string; target: string; detail: Record<string, unknown> }) => Promise<void>
  /** Read before the database was open, as `database.url` must be; read here when left out. */
  loaded?: Loaded
}

const BY_FILE = { kind: 'file', id: 'gatehouse.yaml', name: 'an edit of the file' }

export async function createConfig(deps: ConfigDeps): Promise<ConfigService> {
  const { home, store, bus, log, now = () => new Date() } = deps
  const path = configPath(home)
  let state = deps.loaded ?? await loadConfig(deps)
  const started = state.config
  const listeners = new Set<ConfigListener>()
  // Writes and reloads one after the other, so that none starts from a text that another is about to replace.
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }
  report(log, state.problems)

  async function record(text: string | undefined, by: ConfigVersion['by']): Promise<void> {
    if (text !== undefined) await store.add({ at: now().getTime(), by, sha: sha256(text), text })
  }

  function accept(next: Loaded, by: ConfigVersion['by']): void {
    const before = state
    state = next
    const names = new Set([...Object.keys(next.config), ...Object.keys(before.config)])
    const sections = [...names].filter((name) => !same(next.config[name], before.config[name]))
    for (const id of sections) bus.publish({ type: 'resource', resource: 'config', action: 'updated', id })
    if (sections.length === 0) bus.publish({ type: 'resource', resource: 'config', action: 'changed' })
    if (sections.length === 0) return
    log.info('config.changed', 'The configuration changed', {
      sections,
      restart_required: restartRequired(),
      by: by.name,
    })
    for (const listener of [...listeners]) listener(next.config, before.config, sections)
  }

  /** Only what is bound when the process starts: where it listens and which database it opened. */
  const restartRequired = (): boolean => {
    const bound = ({ server, database }: Config) => ({ host: server.host, port: server.port, database })
    return !same(bound(state.config), bound(started))
  }

  const reload = () =>
    inTurn(async () => {
      const text = await readText(path)
      const { goodText, data } = state
      const next = await evaluate(deps, text ?? '', text === goodText ? data : undefined)
      if (text === state.text && same(next.variables, state.variables)) return
      report(log, next.problems)
      if (next.good) accept({ ...next, ...next.good, text }, BY_FILE)
      else {
        state = { ...state, text, sha: next.sha, problems: next.problems, variables: next.variables }
        bus.publish({ type: 'resource', resource: 'config', action: 'changed' })
      }
      if (goodText !== '') await record(goodText, BY_FILE)
      if (!next.good) return
      await keepGood(home, next.good)
      await record(text, BY_FILE)
    }).catch((error: unknown) => log.error('config.unreadable', 'The configuration could not be read again', { error }))

  const stopWatching = watchFiles([path, dotenvPath(home)], () => void reload())

  /** `next` is given the file as it is on disk at this moment, so that no edit by other means is lost unseen. */
  const write = (
    caller: Caller,
    ifMatch: string | undefined,
    next: (text: string, data: Values | undefined) => Promise<string>,
  ) => {
    demand(caller, 'admin')
    return inTurn(async (): Promise<ConfigWritten> => {
      const disk = await readText(path)
      checkMatch(ifMatch, disk)
      const parsed = disk === undefined ? {} : (await parse(disk)).data
      const text = await next(disk ?? '', parsed)
      const evaluated = await evaluate(deps, text)
      if (!evaluated.good) throw refusal(evaluated.problems)
      if (text !== disk) {
        await record(disk, BY_FILE)
        if (await readText(path) !== disk) throw changedMeanwhile()
        await writeAtomic(path, text).catch((error: unknown) => {
          throw unwritable(error)
        })
        await record(text, { kind: caller.kind, id: caller.id, name: caller.name })
        await deps.audit?.({
          caller,
          action: 'config.changed',
          target: 'gatehouse.yaml',
          detail: { sha: sha256(text) },
        })
        await keepGood(home, evaluated.good)
      }
      if (text !== state.text) accept({ ...evaluated, ...evaluated.good, text }, caller)
      return { etag: etagOf(text), restartRequired: restartRequired() }
    })
  }

  const describe = ({ id, at, by, sha }: StoredVersion): ConfigVersion => ({
    id,
    at: at / 1000,
    at_iso: new Date(at).toISOString(),
    by,
    sha,
    current: sha === state.sha,
  })

  const stored = async (id: number) => {
    const version = await store.get(id)
    if (!version) throw notFound('version', String(id))
    return version
  }

  const known = () => secretValues(state.config)

  return {
    current: () => state.config,
    origins: () => state.origins,
    etag: () => etagOf(state.text ?? ''),
    raw: () => state.text ?? '',
    problems: () => state.problems,
    variables: () => state.variables,
    secrets: known,
    file: (caller) => {
      demand(caller, 'read')
      return masked(state.data)
    },
    yaml: (caller) => {
      demand(caller, 'admin')
      return maskText(state.text ?? '', known())
    },
    effective: (caller) => {
      demand(caller, 'read')
      return {
        values: masked(withReferences(state.config, state.data, state.origins)) as Values,
        origins: state.origins,
        problems: state.problems,
        restart_required: restartRequired(),
      }
    },
    validate: async (caller, yaml) => {
      demand(caller, 'admin')
      return (await evaluate(deps, yaml)).problems
    },
    replace: (caller, next, ifMatch) =>
      write(caller, ifMatch, async (text, data) => {
        if (typeof next === 'string') return unmaskText(next, data ?? state.data)
        const own = Object.entries(next).filter(([section]) => !isDatabaseSection(section))
        const values = unmasked(Object.fromEntries(own), data ?? state.data) as Values
        return rewrite(data === undefined ? '' : text, values)
      }),
    patchSection: async (caller, section, value, ifMatch) => {
      if (isDatabaseSection(section)) {
        throw invalid(section, 'is kept in the database; use its own routes, such as /api/providers and /api/models')
      }
      if (!/^[A-Za-z][\w-]{0,63}$/.test(section)) throw invalid('section', 'must be a name of letters, digits, - and _')
      const written = await write(caller, ifMatch, async (text, data) => {
        if (data === undefined) throw brokenFile()
        const patch = unmasked(value, data, [section])
        const next = section === 'channels' ? patch : mergePatch(data[section], patch)
        if (next !== null) return rewrite(text, withValue(data, [section], next))
        const { [section]: _, ...rest } = data
        return rewrite(text, rest)
      })
      return { ...written, value: masked(state.data[section] ?? null, [section]) }
    },
    history: async (caller) => {
      demand(caller, 'admin')
      await inTurn(() => record(state.text, BY_FILE))
      return (await store.list()).map(describe)
    },
    version: async (caller, id) => {
      demand(caller, 'admin')
      const version = await stored(id)
      return { ...describe(version), yaml: await maskText(version.text, known()) }
    },
    restore: async (caller, id, ifMatch) => {
      demand(caller, 'admin')
      const { text } = await stored(id)
      return write(caller, ifMatch, async () => text)
    },
    onChange: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    reload,
    stop: async () => {
      stopWatching()
      await last
    },
  }
}

const isDatabaseSection = (section: string): boolean => (DATABASE_SECTIONS as readonly string[]).includes(section)
