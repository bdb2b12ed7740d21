import type {
  InstallPluginInput,
  PackagedPlugin,
  Plugin,
  PluginCheck,
  PluginConfig,
  PluginDetail,
  PluginLogLine,
  PutPluginConfigInput,
} from '$shared/plugins.ts'
import { api, type Fetch } from './client.ts'

/** A package may have to be fetched. */
const SLOW = { timeout: 180_000 }

/** Plugins: what they are, what they may do, their settings and their logs. */
export const plugins = (fetch?: Fetch) => {
  const client = api(fetch)
  const at = (name: string, rest = '') => `/api/plugins/${encodeURIComponent(name)}${rest}`
  const one = async (answer: Promise<{ plugin: PluginDetail }>): Promise<PluginDetail> => (await answer).plugin
  return {
    list: async () => (await client.get<{ plugins: Plugin[] }>('/api/plugins')).plugins,
    get: (name: string) => one(client.get(at(name))),
    reload: async () => (await client.post<{ plugins: Plugin[] }>('/api/plugins/reload')).plugins,
    /** In npm's registry. */
    browse: async (q: string, signal?: AbortSignal) =>
      (await client.get<{ packages: PackagedPlugin[] }>('/api/plugins/browse', {
        query: { q },
        timeout: 60_000,
        signal,
      }))
        .packages,
    install: (input: InstallPluginInput) => one(client.post('/api/plugins/install', input, SLOW)),
    uninstall: (name: string) => client.delete(at(name)),
    accept: (name: string, surface_hash: string) => one(client.post(at(name, '/accept'), { surface_hash })),
    /** With `surface_hash` it is accepted along. */
    enable: (name: string, surface_hash?: string) => one(client.post(at(name, '/enable'), { surface_hash })),
    disable: (name: string) => one(client.post(at(name, '/disable'))),
    restart: (name: string) => one(client.post(at(name, '/restart'))),
    config: (name: string) => client.get<PluginConfig>(at(name, '/config')),
    saveConfig: (name: string, input: PutPluginConfigInput) => client.put<PluginConfig>(at(name, '/config'), input),
    /** The newest lines; those that came since with `after`. */
    logs: async (name: string, query: { after?: number; limit?: number } = {}) =>
      (await client.get<{ lines: PluginLogLine[] }>(at(name, '/logs'), { query })).lines,
    doctor: async () => (await client.get<{ checks: PluginCheck[] }>('/api/plugins/doctor')).checks,
  }
}
