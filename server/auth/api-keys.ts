import { ulid } from 'ulid'
import { AppError, invalid, notFound } from '../errors.ts'
import type { ApiKey, CreateKeyInput } from '../../shared/auth.ts'
import type { Audit } from './audit.ts'
import { type Caller, demand } from './principal.ts'
import type { AuthStore, StoredKey } from './store.ts'
import { stamp } from './times.ts'
import { hashOf, randomToken } from './tokens.ts'

/** Begins every API key, so that people and scanners recognise one. */
export const KEY_PREFIX = 'gk_'

/** Keys for programs; every verb is for administrators. */
export type ApiKeys = {
  /** All keys, newest first, without their secrets. */
  list(caller: Caller): Promise<ApiKey[]>
  /** The secret is in this answer and nowhere else. */
  create(caller: Caller, input: CreateKeyInput, address?: string): Promise<{ key: ApiKey; secret: string }>
  /** Ends the key, and the browser sessions that it opened, at once. */
  remove(caller: Caller, id: string, address?: string): Promise<void>
}

/** What keeps credentials in the store, and tells of those that end. */
export type CredentialDeps = {
  store: AuthStore
  audit: Audit
  now: () => number
  /** Tells everybody that this principal must not be served any more. */
  revoked: (id: string) => void
  changed: (action: 'created' | 'deleted', id: string) => void
}

/** Keeps API keys in the store and tells everybody of those that end. */
export function createApiKeys({ store, audit, now, revoked, changed }: CredentialDeps): ApiKeys {
  return {
    async list(caller) {
      demand(caller, 'admin')
      return (await store.listKeys()).map(toWire)
    },

    async create(caller, input, address = '') {
      demand(caller, 'admin')
      const secret = KEY_PREFIX + randomToken(32)
      const key: StoredKey = {
        id: `key_${ulid(now())}`,
        prefix: secret.slice(0, KEY_PREFIX.length + 5),
        name: input.name,
        handle: input.handle ?? caller.handle,
        scopes: [...new Set(input.scopes)],
        created_by: caller.id,
        created_at: now(),
        expires_at: expiry(input.expires_at, now()),
        last_used_at: null,
      }
      await store.addKey(key, hashOf(secret))
      const detail = { name: key.name, handle: key.handle, scopes: key.scopes, expires_at: key.expires_at }
      await audit.record({ caller, action: 'key.created', target: key.id, detail, address })
      changed('created', key.id)
      return { key: toWire(key), secret }
    },

    async remove(caller, id, address = '') {
      demand(caller, 'admin')
      if (id === ENVIRONMENT_KEY) {
        throw new AppError('conflict', 'GATEHOUSE_TOKEN comes from the environment. Change it there and restart.')
      }
      const opened = await store.browserIdsOfKey(id)
      const key = await store.removeKey(id)
      if (!key) throw notFound('key', id)
      for (const principal of [id, ...opened]) revoked(principal)
      const detail = { name: key.name, handle: key.handle, browsers: opened.length }
      await audit.record({ caller, action: 'key.removed', target: id, detail, address })
      changed('deleted', id)
    },
  }
}

/** Id of the principal that `GATEHOUSE_TOKEN` stands for. */
export const ENVIRONMENT_KEY = 'env'

function expiry(given: number | string | null | undefined, now: number): number | null {
  if (given === undefined || given === null) return null
  const at = typeof given === 'number' ? given * 1000 : Date.parse(given)
  if (!Number.isFinite(at)) throw invalid('expires_at', 'must be epoch seconds or a time such as 2030-01-31T12:00:00Z')
  if (at <= now) throw invalid('expires_at', 'must lie in the future')
  if (at > 32503680000000) throw invalid('expires_at', 'is after the year 3000; send seconds, not milliseconds')
  return Math.round(at)
}

const toWire = (key: StoredKey): ApiKey => ({
  id: key.id,
  name: key.name,
  prefix: key.prefix,
  handle: key.handle,
  scopes: key.scopes,
  ...stamp('created_at', key.created_at),
  ...stamp('expires_at', key.expires_at),
  ...stamp('last_used_at', key.last_used_at),
})
