import type { PluginSurface } from '../../shared/plugins.ts'
import type { Db } from '../db/open.ts'
import type { Registration } from './capabilities.ts'

/** Where a plugin came from when it was installed by us. */
export type Installed = { from: string; kind: 'npm' | 'folder' | 'archive'; integrity: string | null; at: number }

/** What a plugin registered when it last ran; it counts for the one with the same `print`. */
export type KeptRegistrations = { print: string; registrations: Registration[] }

export type StoredPlugin = {
  name: string
  enabled: boolean
  accepted: PluginSurface | null
  accepted_hash: string | null
  config: Record<string, unknown>
  /** Sealed, by name. */
  secrets: Record<string, string>
  quarantined: string | null
  installed: Installed | null
  registered: KeptRegistrations | null
}

type Tables = {
  plugins: {
    name: string
    enabled: number
    accepted: string | null
    accepted_hash: string | null
    config: string
    secrets: string
    quarantined: string | null
    installed: string | null
    registered: string | null
    updated_at: number
  }
  plugin_state: { plugin: string; key: string; value: string; updated_at: number }
}

export type PluginStore = ReturnType<typeof createPluginStore>

/** Decisions about plugins, and their own small stores; the only SQL of this feature. */
export function createPluginStore({ kysely }: { kysely: Db }) {
  const db = kysely.withTables<Tables>()

  return {
    list: async (): Promise<StoredPlugin[]> => (await db.selectFrom('plugins').selectAll().execute()).map(toPlugin),

    async change(name: string, change: Partial<Omit<StoredPlugin, 'name'>>, at: number): Promise<void> {
      const set = { ...columns(change), updated_at: at }
      await db.insertInto('plugins')
        .values({ name, enabled: 0, config: '{}', secrets: '{}', ...set } as Tables['plugins'])
        .onConflict((conflict) => conflict.column('name').doUpdateSet(set)).execute()
    },

    async remove(name: string): Promise<void> {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('plugin_state').where('plugin', '=', name).execute()
        await tx.deleteFrom('plugins').where('name', '=', name).execute()
      })
    },

    state: {
      get: async (plugin: string, key: string): Promise<string | undefined> =>
        (await db.selectFrom('plugin_state').select('value').where('plugin', '=', plugin).where('key', '=', key)
          .executeTakeFirst())?.value,

      /** False when the plugin has as many keys as it may. */
      async set(plugin: string, key: string, value: string, { at, maxKeys }: { at: number; maxKeys: number }) {
        return await db.transaction().execute(async (tx) => {
          const { numUpdatedRows } = await tx.updateTable('plugin_state').set({ value, updated_at: at })
            .where('plugin', '=', plugin).where('key', '=', key).executeTakeFirstOrThrow()
          if (numUpdatedRows > 0n) return true
          const { count } = await tx.selectFrom('plugin_state').select(({ fn }) => fn.countAll<number>().as('count'))
            .where('plugin', '=', plugin).executeTakeFirstOrThrow()
          if (count >= maxKeys) return false
          await tx.insertInto('plugin_state').values({ plugin, key, value, updated_at: at }).execute()
          return true
        })
      },

      remove: async (plugin: string, key: string): Promise<void> =>
        void await db.deleteFrom('plugin_state').where('plugin', '=', plugin).where('key', '=', key).execute(),

      /** In order, at most so many. */
      list: async (plugin: string, prefix: string, limit: number): Promise<string[]> =>
        (await db.selectFrom('plugin_state').select('key').where('plugin', '=', plugin).where('key', '>=', prefix)
          .orderBy('key').limit(limit).execute()).map(({ key }) => key).filter((key) => key.startsWith(prefix)),
    },
  }
}

function columns({ enabled, accepted, config, secrets, installed, registered, ...rest }: Partial<StoredPlugin>) {
  return {
    ...rest,
    ...(enabled === undefined ? {} : { enabled: Number(enabled) }),
    ...(accepted === undefined ? {} : { accepted: accepted && JSON.stringify(accepted) }),
    ...(config === undefined ? {} : { config: JSON.stringify(config) }),
    ...(secrets === undefined ? {} : { secrets: JSON.stringify(secrets) }),
    ...(installed === undefined ? {} : { installed: installed && JSON.stringify(installed) }),
    ...(registered === undefined ? {} : { registered: registered && JSON.stringify(registered) }),
  }
}

const parsed = <T>(text: string | null): T | null => text === null ? null : JSON.parse(text) as T

const toPlugin = ({ updated_at: _, ...row }: Tables['plugins']): StoredPlugin => ({
  ...row,
  enabled: row.enabled === 1,
  accepted: parsed(row.accepted),
  config: JSON.parse(row.config) as StoredPlugin['config'],
  secrets: JSON.parse(row.secrets) as StoredPlugin['secrets'],
  installed: parsed(row.installed),
  registered: parsed(row.registered),
})
