import type {
  InstallPluginInput,
  PackagedPlugin,
  Plugin,
  PluginCheck,
  PluginConfig,
  PluginDetail,
  PluginLogLine,
  PluginNews,
  PutPluginConfigInput,
} from '../../shared/plugins.ts'
import { type Caller, can, demand } from '../auth/principal.ts'
import { AppError, notFound } from '../errors.ts'
import type { Tool } from '../tools/tool.ts'
import { browse } from './browse.ts'
import { switchChannel } from './channel-switch.ts'
import { createFirst } from './coming.ts'
import type { PluginDeps } from './deps.ts'
import { diagnose } from './doctor.ts'
import type { Gateway, GatewayListener } from './gateway.ts'
import { createHooks } from './hooks.ts'
import { createInbound } from './inbound.ts'
import { createInstaller } from './install.ts'
import { createNpm } from './npm.ts'
import type { PluginCommand } from './kinds/command.ts'
import type { Given, UsedKind } from './kinds/kinds.ts'
import { createRoster } from './roster.ts'
import type { Spec } from './specs.ts'
import { createPluginStore } from './store.ts'
import { detailOf, viewOf } from './view.ts'

export type { Gateway, GatewayListener, GatewayNews, PluginState, Ready, Status } from './gateway.ts'
export { GatewayError } from './gateway.ts'
export type { PluginCommand } from './kinds/command.ts'

export type Plugins = Awaited<ReturnType<typeof createPlugins>>

/** Plugins: programs of their own that carry chats and offer tools. Nothing of them is started before `start`. */
export async function createPlugins(deps: PluginDeps) {
  const { audit, now } = deps
  const store = createPluginStore(deps)
  const roster = await createRoster({ ...deps, store })
  const npm = createNpm(deps.variables)
  const installer = createInstaller({ ...deps, store, roster, npm })
  deps.onConfig(() => {
    roster.refresh().catch((error: unknown) =>
      deps.log.error('plugins.refresh_failed', 'Changed settings did not reach the plugins', { error: String(error) })
    )
  })

  const inbound = createInbound({
    roster,
    settings: roster.settings,
    ownToken: () => deps.variables().GATEHOUSE_TOKEN,
    log: (path, remote) => deps.log.info('plugins.no_route', 'Nothing answers there', { path, remote }),
  })

  const hooks = createHooks({ roster, settings: roster.settings, bus: deps.bus, now })

  function find(name: string): Spec {
    const spec = roster.specs().find((candidate) => candidate.name === name)
    if (!spec) throw notFound('plugin', name)
    return spec
  }

  const given = <K extends UsedKind>(kind: K): Given<K>[] =>
    roster.units().flatMap(({ capabilities }) => capabilities.given(kind))

  const record = (caller: Caller, action: string, target: string, detail: Record<string, unknown> = {}) =>
    audit({ caller, action: `plugin.${action}`, target, detail })

  const show = (name: string): Promise<PluginDetail> => detailOf(find(name), roster)

  async function accept(spec: Spec, hash: string): Promise<void> {
    if (hash !== spec.surface_hash) {
      throw new AppError('conflict', `What ${spec.name} may do is not what you read. Read it again, then decide.`)
    }
    await store.change(spec.plugin, { accepted: spec.surface, accepted_hash: hash }, now())
  }

  /** Where it is decided about: in `gatehouse.yaml` what that names, else here. */
  async function switchTo(caller: Caller, { name, channel }: Spec, enabled: boolean): Promise<void> {
    if (channel) await switchChannel(deps.configFile, caller, name, enabled)
    else await store.change(name, { enabled }, now())
  }

  /** What `gatehouse.yaml` names would be left without its program. */
  function checkUnused({ name, plugin }: Spec): void {
    const user = roster.specs().find((spec) => spec.channel && spec.plugin === plugin)
    if (!user) return
    const place = deps.config().channels[user.name] ? `channels.${user.name}` : 'gateways.external'
    throw new AppError(
      'conflict',
      `${place} of gatehouse.yaml uses ${name}. Remove that first: on the page of the channel, or with ` +
        `gatehouse config unset ${place}`,
    )
  }

  /** Acts on what was decided, and tells open pages also when nothing is started or stopped by it. */
  async function settle(name: string, action?: 'deleted'): Promise<void> {
    await roster.refresh()
    roster.changed(name, action)
  }

  return {
    // For other features.
    /** Plugins that carry chats and are switched on, whether they run or not. */
    gateways: (): Gateway[] => roster.gateways(),
    /** The one who hears of what gateways say; to be named before `start`. */
    onGatewayEvent: (listener: GatewayListener): void => roster.onGatewayEvent(listener),
    /** Hears when a gateway's state, status or capabilities change. */
    onGatewayState: (listener: (gateway: Gateway) => void): void => roster.onGatewayState(listener),
    /** For the one list of tools. */
    tools: (): Tool[] => roster.units().flatMap(({ capabilities }) => capabilities.tools()),
    /** What plugins that run registered of one kind. */
    given,
    /** The first of one kind; one that is about to come is waited for. */
    first: createFirst({ roster, given }),
    /** Slash commands of plugins that run. */
    commands: (): PluginCommand[] => given('command'),

    /** Why a plugin forbids a call; asked by the gate. */
    forbids: hooks.forbids,
    /** Requests from outside for the routes of plugins. */
    inbound,

    // For people.
    async list(caller: Caller): Promise<Plugin[]> {
      demand(caller, 'read')
      await roster.look()
      const plugins = await Promise.all(roster.specs().map((spec) => viewOf(spec, roster)))
      return plugins.map((plugin) => forReader(caller, plugin))
    },

    async get(caller: Caller, name: string): Promise<PluginDetail> {
      demand(caller, 'read')
      await roster.look()
      return forReader(caller, await show(name))
    },

    async accept(caller: Caller, name: string, hash: string): Promise<PluginDetail> {
      demand(caller, 'admin')
      await roster.look()
      const spec = find(name)
      await accept(spec, hash)
      await record(caller, 'accepted', name, { surface_hash: hash, surface: spec.surface })
      await settle(name)
      return await show(name)
    },

    /** `hash` accepts what it may do along. Throws `conflict` while that is not accepted. */
    async enable(caller: Caller, name: string, hash?: string): Promise<PluginDetail> {
      demand(caller, 'admin')
      await roster.look()
      const spec = find(name)
      if (spec.problem) throw new AppError('conflict', `${name} can't be run: ${spec.problem}`)
      if (hash !== undefined) await accept(spec, hash)
      else if (!spec.accepted) {
        const news = spec.wider.length > 0 ? `Since you accepted it, it ${spec.wider.join(', ')}. ` : ''
        throw new AppError(
          'conflict',
          `${news}Read what ${name} may do (surface), and send its surface_hash to accept it.`,
        )
      }
      await switchTo(caller, spec, true)
      await store.change(name, { quarantined: null }, now())
      await record(caller, 'enabled', name, hash === undefined ? {} : { surface_hash: hash, surface: spec.surface })
      await settle(name)
      const state = roster.unitOf(name)?.supervisor.state
      if (state === 'quarantined' || state === 'failed') await roster.restart(name)
      return await show(name)
    },

    async disable(caller: Caller, name: string): Promise<PluginDetail> {
      demand(caller, 'admin')
      await roster.look()
      await switchTo(caller, find(name), false)
      await record(caller, 'disabled', name)
      await settle(name)
      return await show(name)
    },

    /** Stops it and starts it anew, whatever failed before. */
    async restart(caller: Caller, name: string): Promise<PluginDetail> {
      demand(caller, 'admin')
      await roster.look()
      const reason = await roster.reason(find(name))
      if (reason !== undefined) {
        throw new AppError('conflict', `${name} is not running: ${reason === 'off' ? 'it is switched off' : reason}`)
      }
      await record(caller, 'restarted', name)
      await roster.refresh()
      await roster.restart(name)
      return await show(name)
    },

    /** Looks at all folders and the configuration again; what changed is started anew. */
    async reload(caller: Caller): Promise<Plugin[]> {
      demand(caller, 'admin')
      await record(caller, 'reloaded', 'all')
      await roster.refresh()
      return await Promise.all(roster.specs().map((spec) => viewOf(spec, roster)))
    },

    async config(caller: Caller, name: string): Promise<PluginConfig> {
      demand(caller, 'admin')
      await roster.look()
      return roster.config.show(find(name))
    },

    async putConfig(caller: Caller, name: string, input: PutPluginConfigInput): Promise<PluginConfig> {
      demand(caller, 'admin')
      await roster.look()
      await store.change(name, await roster.config.change(find(name), input), now())
      await record(caller, 'configured', name, {
        settings: Object.keys(input.config ?? {}),
        secrets: Object.keys(input.secrets ?? {}),
      })
      await settle(name)
      return roster.config.show(find(name))
    },

    async logs(caller: Caller, name: string, { after = 0, limit = 200 }): Promise<PluginLogLine[]> {
      demand(caller, 'admin')
      if (!roster.specs().some((spec) => spec.name === name)) await roster.look()
      find(name)
      return roster.journalOf(name).read(after, limit)
    },

    /**
     * What is measured of a plugin and, for admins, its log as it is written. Of one that is not there, nothing comes.
     * Returns the function that ends it.
     */
    follow(caller: Caller, name: string, listener: (news: PluginNews) => void): () => void {
      if (!can(caller, 'read') || !roster.specs().some((spec) => spec.name === name)) return () => {}
      const journal = roster.journalOf(name)
      const endSamples = roster.watch.subscribe((of, sample) => {
        const unit = of === name ? roster.unitOf(name) : undefined
        if (!unit) return
        const last_incident_at = journal.incidents()[0]?.at ?? null
        listener({ v: 1, name, sample, counters: { ...unit.counters }, last_incident_at })
      })
      if (!can(caller, 'admin')) return endSamples
      const endLines = journal.subscribe((line) => listener({ v: 1, name, line }))
      return () => {
        endSamples()
        endLines()
      }
    },

    /** Plugins that could be installed from npm. */
    async browse(caller: Caller, words: string): Promise<PackagedPlugin[]> {
      demand(caller, 'admin')
      return await browse(words, { npm, cwd: deps.home, stored: await store.list() })
    },

    async install(caller: Caller, input: InstallPluginInput): Promise<PluginDetail> {
      demand(caller, 'admin')
      const { id, from, integrity } = await installer.install(input)
      await record(caller, 'installed', id, { from, integrity })
      await settle(id)
      return await show(id)
    },

    async uninstall(caller: Caller, name: string): Promise<void> {
      demand(caller, 'admin')
      await roster.look()
      const spec = find(name)
      checkUnused(spec)
      await installer.uninstall(spec)
      await record(caller, 'uninstalled', name)
      await settle(name, 'deleted')
    },

    async doctor(caller: Caller): Promise<PluginCheck[]> {
      demand(caller, 'admin')
      await roster.look()
      return await diagnose(roster, deps)
    },

    async start(): Promise<void> {
      await installer.tidy().catch((error) =>
        deps.log.warn('plugin.not_tidied', 'What an installation left could not be taken away', {
          error: String(error),
        })
      )
      await roster.start()
    },
    stop: (): Promise<void> => {
      hooks.stop()
      return roster.stop()
    },
  }
}

/** Where it lies on the machine and what went wrong in it is the owner's to know. */
const forReader = <P extends Plugin>(caller: Caller, plugin: P): P =>
  can(caller, 'admin') ? plugin : { ...plugin, folder: null, pid: null, incidents: [] }
