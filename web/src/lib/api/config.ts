import type { ConfigProblem, ConfigVersion, EffectiveConfig } from '$shared/config.ts'
import { api, type Fetch } from './client.ts'

/** The part of JSON Schema that the settings use. */
export type Schema = {
  type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  title?: string
  description?: string
  default?: unknown
  enum?: string[]
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  properties?: Record<string, Schema>
  additionalProperties?: unknown
  items?: Schema
  /** A secret: it can be set and never read. */
  writeOnly?: boolean
}

export type Written = { ok: true; restart_required: boolean }

/** The file as it was read, with the tag that a write sends back. */
export type ConfigFile = { text: string; etag: string | null }

/** `gatehouse.yaml`: its text, what is in force, and its versions. */
export const config = (fetch?: Fetch) => {
  const client = api(fetch)
  return {
    schema: () => client.get<Schema>('/api/config/schema'),
    effective: () => client.get<EffectiveConfig>('/api/config/effective'),
    yaml: async (): Promise<ConfigFile> => {
      const response = await client.raw('GET', '/api/config/yaml', undefined, {
        headers: { accept: 'application/yaml' },
      })
      return { text: await response.text(), etag: response.headers.get('etag') }
    },
    validate: (yaml: string, signal?: AbortSignal) =>
      client.post<{ ok: boolean; problems: ConfigProblem[] }>('/api/config/validate', { yaml }, { signal }),
    /** Refused with 412 when the file is no longer the one that `ifMatch` names. */
    save: async (text: string, ifMatch: string | null): Promise<Written & { etag: string | null }> => {
      const response = await client.raw('PUT', '/api/config', text, {
        headers: { 'content-type': 'application/yaml' },
        ifMatch,
      })
      return { ...await response.json() as Written, etag: response.headers.get('etag') }
    },

    history: async () => (await client.get<{ versions: ConfigVersion[] }>('/api/config/history')).versions,
    version: (id: number) => client.get<ConfigVersion & { yaml: string }>(`/api/config/history/${id}`),
    restore: (id: number, ifMatch: string | null) =>
      client.post<Written>(`/api/config/history/${id}/restore`, {}, { ifMatch }),
  }
}
