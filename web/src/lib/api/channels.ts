import type {
  Channel,
  ChannelGroup,
  ChannelPerson,
  ChannelRoute,
  OutboxEntry,
  Pairing,
  RouteTest,
  RouteTestResult,
  SendToChatInput,
  UpdateGroupInput,
  UpdatePersonInput,
} from '$shared/channels.ts'
import { api, type Fetch, type Tagged } from './client.ts'
import { plugins } from './plugins.ts'

/** `channels.<name>` of `gatehouse.yaml` as it is written. */
export type ChannelSection = Record<string, unknown>
/** `q` is looked for in names and ids. */
export type ListQuery = { channel?: string; q?: string; limit?: number; cursor?: string }
export type PeoplePage = { people: ChannelPerson[]; nextCursor: string | null }
export type GroupsPage = { groups: ChannelGroup[]; nextCursor: string | null }
export type OutboxPage = { entries: OutboxEntry[]; nextCursor: string | null }

/** Chat platforms: state, people, pairings, where messages go, and what is still to be sent. */
export const channels = (fetch?: Fetch) => {
  const client = api(fetch)
  const at = (name: string, rest = '') => `/api/channels/${encodeURIComponent(name)}${rest}`
  const of = (kind: string, channel: string, id: string) =>
    `/api/channel-${kind}/${encodeURIComponent(channel)}/${encodeURIComponent(id)}`
  const entry = (id: string, rest = '') => `/api/outbox/${encodeURIComponent(id)}${rest}`
  const pairing = (id: string, rest: string) => `/api/pairings/${encodeURIComponent(id)}${rest}`

  const sections = () =>
    client.getTagged<{ channels?: Record<string, ChannelSection>; gateways?: { external?: { name: string }[] } }>(
      '/api/config',
    )

  /**
   * Undefined takes the section out. Refused with 412 when the file is no longer the one that was read.
   * All sections are written, for a merge patch could not take keys out of one.
   */
  const writeSection = async (
    name: string,
    next: ChannelSection | undefined,
    read: Awaited<ReturnType<typeof sections>>,
  ) => {
    const { [name]: before, ...others } = read.data.channels ?? {}
    if (!before && read.data.gateways?.external?.some((gateway) => gateway.name === name)) {
      // A section of this name would stand in its place, without its command.
      throw new Error(
        `${name} is named under gateways.external of gatehouse.yaml. Move it to channels, then change it.`,
      )
    }
    await client.patch('/api/config/channels', next ? { ...others, [name]: next } : others, { ifMatch: read.etag })
  }

  return {
    list: async () => (await client.get<{ channels: Channel[] }>('/api/channels')).channels,
    send: async (name: string, input: SendToChatInput) =>
      (await client.post<{ entries: OutboxEntry[] }>(at(name, '/messages'), input)).entries,

    /** What is written of a channel, with the tag of the file; undefined where nothing is. */
    section: async (name: string): Promise<Tagged<ChannelSection | undefined>> => {
      const { data, etag } = await sections()
      return { data: data.channels?.[name], etag }
    },
    saveSection: async (name: string, next: ChannelSection, ifMatch: string | null) => {
      const read = await sections()
      await writeSection(name, next, { ...read, etag: ifMatch })
    },
    /** Names the channel in `gatehouse.yaml`, which alone decides from then on. */
    setEnabled: async (name: string, enabled: boolean): Promise<void> => {
      const read = await sections()
      await writeSection(name, { ...read.data.channels?.[name], enabled }, read)
    },
    /** Another bot of a platform, switched off until it is set up. */
    create: async (name: string, plugin: string): Promise<void> => {
      const read = await sections()
      if (read.data.channels?.[name]) throw new Error(`There is a channel ${name} already.`)
      await writeSection(name, { plugin, enabled: false }, read)
    },
    /** Its secrets and its section are taken out; its people and messages stay. */
    remove: async (name: string): Promise<void> => {
      const host = plugins(fetch)
      const { secrets } = await host.config(name)
      const kept = Object.entries(secrets).filter(([, { from }]) => from === 'store').map(([secret]) => secret)
      if (kept.length > 0) {
        await host.saveConfig(name, { secrets: Object.fromEntries(kept.map((secret) => [secret, null])) })
      }
      const read = await sections()
      if (read.data.channels?.[name]) await writeSection(name, undefined, read)
      // Under its own name it may have been switched on among the plugins, too.
      const left = (await host.list()).find((plugin) => plugin.name === name)
      if (left?.enabled && !left.in_configuration) await host.disable(name)
    },

    pairings: async (state: 'pending' | 'all' = 'pending') =>
      (await client.get<{ pairings: Pairing[] }>('/api/pairings', { query: { state } })).pairings,
    /** Refused with 409 when somebody was quicker, or the code is no longer valid. */
    approve: (id: string, trusted: boolean) => client.post<Pairing>(pairing(id, '/approve'), { trusted }),
    reject: (id: string) => client.post<Pairing>(pairing(id, '/reject')),

    /** The latest first. */
    people: (query: ListQuery = {}) => client.get<PeoplePage>('/api/channel-people', { query }),
    groups: (query: ListQuery = {}) => client.get<GroupsPage>('/api/channel-groups', { query }),
    updatePerson: (channel: string, id: string, input: UpdatePersonInput) =>
      client.patch<ChannelPerson>(of('people', channel, id), input),
    updateGroup: (channel: string, id: string, input: UpdateGroupInput) =>
      client.patch<ChannelGroup>(of('groups', channel, id), input),

    routes: async (): Promise<Tagged<ChannelRoute[]>> => {
      const { data, etag } = await client.getTagged<{ routes: ChannelRoute[] }>('/api/channel-routes')
      return { data: data.routes, etag }
    },
    /** Refused with 412 when the rules are no longer those that `ifMatch` names. */
    saveRoutes: async (routes: ChannelRoute[], ifMatch: string | null): Promise<Tagged<ChannelRoute[]>> => {
      const response = await client.raw('PUT', '/api/channel-routes', { routes }, { ifMatch })
      const saved = await response.json() as { routes: ChannelRoute[] }
      return { data: saved.routes, etag: response.headers.get('etag') }
    },
    testRoute: (input: RouteTest, signal?: AbortSignal) =>
      client.post<RouteTestResult>('/api/channel-routes/test', input, { signal }),

    /** Newest first. */
    outbox: (query: { state?: string; channel?: string; limit?: number; cursor?: string } = {}) =>
      client.get<OutboxPage>('/api/outbox', { query }),
    sendAgain: (id: string) => client.post<OutboxEntry>(entry(id, '/send')),
    discard: (id: string) => client.delete<OutboxEntry>(entry(id)),
  }
}
