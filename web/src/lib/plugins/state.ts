import type { Plugin } from '$shared/plugins.ts'

export type Look = { label: string; tone: 'neutral' | 'primary' | 'success' | 'warning' | 'destructive' }

/** What the page needs to know to tell how a plugin stands. */
export type Standing = Pick<
  Plugin,
  | 'enabled'
  | 'state'
  | 'accepted'
  | 'wider'
  | 'problem'
  | 'configured'
  | 'status'
  | 'connected'
  | 'in_configuration'
  | 'on_demand'
>

/** The state of a plugin in a word or two. */
export function lookOf(plugin: Standing): Look {
  if (isBroken(plugin)) return { label: 'Can’t be used', tone: 'destructive' }
  if (!plugin.accepted && plugin.wider.length > 0) return { label: 'Wants more', tone: 'warning' }
  if (!plugin.enabled) {
    const begun = plugin.in_configuration && !plugin.configured
    return begun ? { label: 'Not set up', tone: 'warning' } : { label: 'Switched off', tone: 'neutral' }
  }
  if (!plugin.accepted) return { label: 'Waits for your yes', tone: 'warning' }
  switch (plugin.state) {
    case 'ready':
      return plugin.status?.connected === false || plugin.connected === false
        ? { label: 'Not connected', tone: 'warning' }
        : { label: 'Ready', tone: 'success' }
    case 'starting':
      return { label: 'Starting', tone: 'primary' }
    case 'backoff':
      return { label: 'Starts again soon', tone: 'warning' }
    case 'failed':
      return { label: 'Failed', tone: 'destructive' }
    case 'quarantined':
      return { label: 'In quarantine', tone: 'destructive' }
    default:
      if (!plugin.configured) return { label: 'Not set up', tone: 'warning' }
      if (plugin.problem) return { label: 'Does not run', tone: 'destructive' }
      return plugin.on_demand
        ? { label: 'Sleeps until it is called', tone: 'success' }
        : { label: 'Stopped', tone: 'neutral' }
  }
}

/** Its files or its manifest are refused, whatever is switched on. */
const isBroken = ({ enabled, state, problem }: Standing): boolean =>
  !enabled && state !== 'quarantined' && problem !== null

/** Why it does not run or does not reach its platform; undefined when nothing is wrong, or nothing was said of it. */
export function troubleOf(plugin: Standing): string | undefined {
  if (!plugin.enabled && !isBroken(plugin)) return undefined
  const away = plugin.state === 'ready' && plugin.status?.connected === false
  return plugin.problem ?? (away ? plugin.status?.detail : undefined)
}

/** What to do about it, where that can be told. */
export function mendOf(plugin: Standing): string | undefined {
  if (isBroken(plugin)) return 'Mend its folder, then look at all folders again.'
  if (!plugin.enabled) return undefined
  if (!plugin.accepted) return 'Read what it may do, and accept it.'
  if (plugin.state === 'quarantined') {
    return 'It is not started by itself any more. Read its log, mend the cause, then restart it.'
  }
  if (plugin.state === 'backoff') return 'It is started again by itself; its last words are in its log.'
  if (plugin.state === 'failed') return 'Read its log, mend the cause, then restart it.'
  if (!plugin.configured) return 'Enter what it still needs.'
  if (plugin.problem?.includes('allow_unrestricted')) {
    return 'Install Deno for plugins that run on it, or permit the others in the configuration.'
  }
  if (plugin.problem?.startsWith('no plugin')) return 'Install that plugin, or take the channel out of gatehouse.yaml.'
  return undefined
}

/** A message that begins like a sentence; the name of a file stays as it is. */
export const sentence = (
  text: string,
): string => (/^[\w-]+\.\w/.test(text) ? text : text.charAt(0).toUpperCase() + text.slice(1))

/** Whether somebody should look at it. */
export const needsLook = (plugin: Standing): boolean => {
  const { tone } = lookOf(plugin)
  return tone === 'warning' || tone === 'destructive'
}

export const FILTERS = [
  { value: '', label: 'All states' },
  { value: 'review', label: 'Needs a look' },
  { value: 'ready', label: 'Ready' },
  { value: 'off', label: 'Switched off' },
]

/** Whether a plugin belongs to one of the filters. */
export function fits(plugin: Standing, filter: string): boolean {
  switch (filter) {
    case 'review':
      return needsLook(plugin)
    case 'ready':
      return plugin.enabled && plugin.state === 'ready'
    case 'off':
      return !plugin.enabled
    default:
      return true
  }
}

/** Set up and switched among the channels, where it has a name of its own. */
export const carriesChats = ({ surface }: Pick<Plugin, 'surface'>): boolean => surface.channels.length > 0

/** Those that are in use or were put here by the owner; the others only come along. */
export const isInstalled = ({ origin, enabled, name, plugin }: Plugin): boolean =>
  origin !== 'bundled' || enabled || name !== plugin

/** Those that come with the server, each once. */
export const isBundled = ({ origin, name, plugin }: Plugin): boolean => origin === 'bundled' && name === plugin

/** What to install again, from the words that the server keeps of an installation; of a package its newest version. */
export function sourceOf(from: string | null): { kind: 'npm' | 'folder' | 'archive'; source: string } {
  if (from === null) return { kind: 'npm', source: '' }
  if (/^https?:|\.(tgz|tar\.gz)$/i.test(from)) return { kind: 'archive', source: from }
  if (/^([\\/]|[A-Za-z]:)/.test(from)) return { kind: 'folder', source: from }
  return { kind: 'npm', source: from.replace(/(?<=.)@[^@/]*$/, '') }
}

/** Where it is from, in a few words. */
export function originOf({ origin, installed_from }: Pick<Plugin, 'origin' | 'installed_from'>): string {
  switch (origin) {
    case 'bundled':
      return 'Comes with Gatehouse'
    case 'config':
      return 'A command in gatehouse.yaml'
    case 'path':
      return 'A folder named in gatehouse.yaml'
    default:
      return installed_from ? `Installed from ${installed_from}` : 'Put into the plugins folder'
  }
}
