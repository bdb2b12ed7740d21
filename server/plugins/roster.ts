import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { canonicalJson } from '../../shared/canonical-json.ts'
import type { Manifest } from '../../shared/plugin-manifest.ts'
import { PLUGIN_ROUTES } from '../../shared/plugin-routes.ts'
import { executableOf } from '../runtime/executables.ts'
import { createOrphans, createSweeper } from '../runtime/orphans.ts'
import { createSentinel } from '../runtime/sentinel.ts'
import type { PluginDeps } from './deps.ts'
import { createManifests, discover } from './discover.ts'
import type { Gateway, GatewayListener } from './gateway.ts'
import { createJournal, type Journal } from './journal.ts'
import { createSettings } from './settings.ts'
import { createSpecs, isGateway, isOnDemand, type Spec } from './specs.ts'
import { dataFolder, startProgram } from './start.ts'
import { answerState } from './state.ts'
import type { PluginStore } from './store.ts'
import { createUnit, type Unit } from './unit.ts'
import { createWatch } from './watch.ts'

/** A unit and what it was started with, so that a change is noticed. */
type Running = { unit: Unit; spec: Spec; print: string }

export type Roster = Awaited<ReturnType<typeof createRoster>>

/** Which plugins there are, which of them run, and keeping the one in line with the other. */
export async function createRoster(deps: PluginDeps & { store: PluginStore }) {
  const { store, home, log, bus, now } = deps
  const settings = () => deps.config().plugins
  const config = createSettings(deps)
  const watch = createWatch({ settings, now })
  const sentinel = createSentinel(deps.runtime)
  const orphans = createOrphans({
    file: join(home, 'plugin-children'),
    onEnded: (pid) => log.warn('plugins.orphan', 'A program of a plugin that outlived us was ended', { pid }),
  })
  const sweep = createSweeper((pid) =>
    log.warn('plugins.escaped', 'A program that a plugin had left was ended', { pid })
  )
  const manifests = createManifests()
  const running = new Map<string, Running>()
  const journals = new Map<string, Journal>()
  const stateListeners = new Set<(gateway: Gateway) => void>()
  let eventListener: GatewayListener = async () => {}
  let specs: Spec[] = []
  let hasDeno = false
  let started = false
  let known = false
  let stopped = false
  let last: Promise<unknown> = Promise.resolve()

  await orphans.end()

  /** One after the other, so that no two decide about one plugin. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }

  const changed = (name: string, action: 'changed' | 'deleted' = 'changed') =>
    bus.publish({ type: 'resource', resource: 'plugin', action, id: name })

  const journalOf = (name: string): Journal => {
    let journal = journals.get(name)
    if (!journal) journals.set(name, journal = createJournal({ name, log, now }))
    return journal
  }

  /** Reads manifests and decisions again. */
  async function read(): Promise<void> {
    hasDeno = await executableOf('deno', deps.variables().PATH) !== undefined
    const found = await discover({ home, paths: settings().paths, bundled: deps.bundled, read: manifests })
    specs = createSpecs({ found, config: deps.config(), stored: await store.list(), isRestricted })
    known = true
  }

  const isRestricted = ({ entry, runtime }: Manifest): boolean =>
    entry !== undefined && hasDeno && (runtime ?? deps.runtime.name) === 'deno'

  /** Why a plugin does not run; undefined when it should. `off` is no problem, only the owner's wish. */
  async function reason(spec: Spec): Promise<string | undefined> {
    if (stopped || !started || !settings().enabled || !spec.enabled) return 'off'
    if (spec.problem) return spec.problem
    if (!spec.accepted) {
      return spec.wider.length > 0
        ? `since it was accepted, it ${spec.wider.join(', ')}; accept that, or disable it`
        : 'what it may do was not accepted yet'
    }
    // Deno does not keep the programs that a plugin starts to its permissions.
    const free = !spec.surface.restricted || spec.surface.permissions.run.length > 0
    if (spec.manifest && free && !settings().allow_unrestricted) {
      return 'nothing keeps it within its permissions, and plugins.allow_unrestricted is off'
    }
    const wrong = await config.problems(spec)
    return wrong.length > 0 ? `its settings are not complete: ${wrong.join('; ')}` : undefined
  }

  /** Where its routes are reached from outside, without a slash at the end; null where the owner did not say. */
  const publicUrl = ({ name }: Spec): string | null => {
    const base = deps.config().server.public_url
    return base === undefined ? null : `${base.replace(/\/+$/, '')}${PLUGIN_ROUTES}/${name}`
  }

  /** What a running plugin depends on. */
  const printOf = (spec: Spec): string => {
    const { channel, manifest, restart } = spec
    const { secrets } = config.resolve(spec)
    const program = { command: channel?.command, args: channel?.args, env: channel?.env }
    const address = manifest?.routes.length ? publicUrl(spec) : null
    const max_file_bytes = manifest && channel?.max_media_bytes
    return canonicalJson({ ...offersOf(spec), restart, program, secrets, address, max_file_bytes })
  }

  /** What it depends on, what a plugin registers. */
  const offersOf = (spec: Spec): Record<string, unknown> => {
    const { manifest, folder } = spec
    const { config: own } = config.resolve(spec)
    // Installed again, it may be other code behind the same manifest.
    const installed = specs.find(({ name }) => name === spec.plugin)?.stored?.installed?.at
    return { manifest, folder, installed, own }
  }

  const offersPrint = (spec: Spec): string => createHash('sha256').update(canonicalJson(offersOf(spec))).digest('hex')

  /** Starts what should run and does not, stops what should not, starts anew what runs with old settings. */
  async function align(): Promise<void> {
    const work: Promise<void>[] = []
    for (const [name, { unit }] of running) {
      const spec = specs.find((candidate) => candidate.name === name)
      if (spec && await reason(spec) === undefined) continue
      running.delete(name)
      work.push(unit.supervisor.stop())
    }
    for (const spec of specs) {
      if (await reason(spec) !== undefined) continue
      const { name } = spec
      const current = running.get(name)
      const print = printOf(spec)
      const unit = current?.unit ?? create(spec)
      running.set(name, { unit, spec, print })
      if (current?.print === print) continue
      if (current) {
        // Somebody changed it: what it did with what it was before counts no more.
        work.push(unit.supervisor.stop().then(() => unit.capabilities.forget()))
        unit.capabilities.forget()
        unit.supervisor.forgive()
        if (spec.stored?.quarantined) await store.change(name, { quarantined: null }, now())
      }
      if (current || !isOnDemand(spec) || !remembers(unit, spec)) unit.supervisor.start()
    }
    await Promise.all(work)
  }

  /** Whether what it offers is known without running it. */
  function remembers({ capabilities }: Unit, spec: Spec): boolean {
    const kept = spec.stored?.registered
    return kept?.print === offersPrint(spec) && capabilities.restore(kept.registrations)
  }

  function create(created: Spec): Unit {
    const { name, stored } = created
    // What was taken out of the configuration still has to end.
    const specOf = () => running.get(name)?.spec ?? specs.find((spec) => spec.name === name) ?? created
    const journal = journalOf(name)
    const unit: Unit = createUnit({
      name,
      manifest: () => specOf().manifest,
      policy: () => specOf().restart,
      settings,
      journal,
      now,
      async open(receive) {
        const spec = specOf()
        const started = await startProgram(spec, {
          ...deps,
          settings,
          resolved: config.resolve(spec),
          publicUrl: publicUrl(spec),
          receive,
          journal,
          orphans,
          sweep,
          sentinel,
        })
        const memoryMb = spec.manifest?.memory_mb ?? settings().memory_mb
        watch.add(name, { process: started.process, memoryMb, readDenials: started.readDenials })
        return started
      },
      onEvent: (gateway, event) => eventListener(gateway, event),
      onState(unit) {
        changed(name)
        for (const listener of stateListeners) listener(unit.gateway)
      },
      onQuarantine(name, message) {
        journal.incident('crash', `in quarantine: ${message}`)
        store.change(name, { quarantined: message }, now()).catch((error: Error) =>
          journal.incident('error', `its quarantine could not be kept: ${error.message}`)
        )
      },
      isOnDemand: () => isOnDemand(specOf()),
      keep(registrations) {
        const spec = specOf()
        const registered = { print: offersPrint(spec), registrations }
        if (canonicalJson(registered) === canonicalJson(spec.stored?.registered ?? null)) return
        store.change(name, { registered }, now()).catch((error: Error) =>
          journal.incident('error', `what it registered could not be kept: ${error.message}`)
        )
      },
      state: (event) => answerState(store, name, event, now()),
      dataDir() {
        const { manifest, folder } = specOf()
        return folder && manifest?.protocol === 'gatehouse.v1' ? dataFolder(deps.home, name) : undefined
      },
    })
    if (stored?.quarantined) unit.supervisor.quarantine(stored.quarantined)
    return unit
  }

  const refresh = () =>
    inTurn(async () => {
      await read()
      await align()
    })

  return {
    store,
    config,
    settings,
    watch,
    journalOf,
    changed,
    reason,
    specs: (): readonly Spec[] => specs,
    /** False until it was looked for the first time. */
    isKnown: (): boolean => known,
    unitOf: (name: string): Unit | undefined => running.get(name)?.unit,
    units: (): Unit[] => [...running.values()].map(({ unit }) => unit),

    onGatewayEvent: (listener: GatewayListener): void => void (eventListener = listener),
    onGatewayState: (listener: (gateway: Gateway) => void): void => void stateListeners.add(listener),
    /** Those that are switched on, whether they run or not. */
    gateways: (): Gateway[] =>
      [...running.values()].filter(({ spec }) => isGateway(spec) && spec.enabled).map(({ unit }) => unit.gateway),

    /** Looks again at folders, configuration and decisions, and acts on them. */
    refresh,

    /** Only looks, so that a list shows what is there. */
    look: (): Promise<void> => inTurn(read),

    /** Does it while nobody looks: what is moved is not gone for a moment, nor stopped for that. */
    unseen: inTurn,

    /** Forgets failures and starts it anew. */
    restart: (name: string): Promise<void> =>
      inTurn(async () => {
        await store.change(name, { quarantined: null }, now())
        await read()
        const unit = running.get(name)?.unit
        const stop = unit?.supervisor.stop()
        unit?.supervisor.forgive()
        await stop
        unit?.supervisor.start()
        await align()
      }),

    /** From now on what should run does. */
    start: (): Promise<void> => {
      started = true
      return refresh()
    },

    async stop(): Promise<void> {
      stopped = true
      const units = [...running.values()].map(({ unit }) => unit)
      await inTurn(align)
      watch.stop()
      await Promise.race([Promise.all(units.map((unit) => unit.idle())), patience()])
      await sentinel.stop()
      await orphans.clear()
    },
  }
}

/** Who keeps what plugins said may need a moment more; nobody waits for him for ever. */
const patience = (): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, 3000)
    ;(timer as { unref?: () => void }).unref?.()
  })
