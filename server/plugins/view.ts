import type { Plugin, PluginDetail } from '../../shared/plugins.ts'
import type { Roster } from './roster.ts'
import { sameAccount } from './same-account.ts'
import { isOnDemand, type Spec } from './specs.ts'

/** What the API tells of a plugin, whether it runs or not. */
export async function viewOf(spec: Spec, roster: Roster): Promise<Plugin> {
  const { manifest, stored } = spec
  const unit = roster.unitOf(spec.name)
  const supervisor = unit?.supervisor
  const measured = roster.watch.latest(spec.name)
  const reason = await roster.reason(spec)
  const isOff = reason === 'off'
  const quarantined = supervisor?.state === 'quarantined' || (!unit && !isOff && stored?.quarantined)
  const startedAt = supervisor?.startedAt ? supervisor.startedAt / 1000 : null
  return {
    name: spec.name,
    plugin: spec.plugin,
    title: manifest?.name ?? spec.name,
    version: manifest?.version ?? '',
    description: manifest?.description ?? '',
    origin: spec.origin,
    folder: spec.folder ?? null,
    installed_from: stored?.installed?.from ?? null,
    integrity: stored?.installed?.integrity ?? null,
    enabled: spec.enabled,
    in_configuration: spec.channel !== undefined,
    on_demand: isOnDemand(spec),
    state: quarantined ? 'quarantined' : supervisor?.state ?? 'stopped',
    problem: supervisor?.problem ?? (isOff ? spec.problem : reason) ?? null,
    pid: supervisor?.process?.pid ?? null,
    started_at: startedAt,
    started_at_iso: startedAt === null ? null : new Date(startedAt * 1000).toISOString(),
    retry_at: supervisor?.retryAt ? supervisor.retryAt / 1000 : null,
    restarts: supervisor?.restarts ?? 0,
    memory_bytes: measured?.bytes ?? null,
    processes: measured?.processes ?? null,
    ready: unit?.gateway.ready ?? null,
    status: unit?.gateway.status ?? null,
    connected: unit?.connected ?? null,
    restricted: spec.surface.restricted,
    runtime: manifest?.command || !manifest ? 'program' : manifest.runtime ?? 'server',
    surface: spec.surface,
    surface_hash: spec.surface_hash,
    accepted: spec.accepted,
    wider: spec.wider,
    same_account: sameAccount(spec, roster),
    configured: (await roster.config.problems(spec)).length === 0,
    registered: unit?.capabilities.list() ?? [],
    counters: { events: 0, commands: 0, dropped: 0, calls: 0, ...unit?.counters },
    incidents: roster.journalOf(spec.name).incidents(),
  }
}

/** The same with its manifest and its memory over time. */
export const detailOf = async (spec: Spec, roster: Roster): Promise<PluginDetail> => ({
  ...await viewOf(spec, roster),
  manifest: spec.manifest ?? null,
  memory: roster.watch.samples(spec.name),
})
