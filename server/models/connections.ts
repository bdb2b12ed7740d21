import { connect, type ConnectDeps } from './connect.ts'
import type { ModelProvider } from './provider.ts'
import type { ModelStore, StoredModel, StoredProvider } from './store.ts'

/** Milliseconds after which rows are read again although nothing here changed them (a remote database may be shared). */
const FRESH_MS = 10_000

type Rows = { providers: StoredProvider[]; models: StoredModel[] }

/** Rows and providers kept in memory: they are needed for every model call and change a few times a year. */
export function createConnections({ store, ...deps }: ConnectDeps & { store: ModelStore }) {
  let rows: Promise<Rows> | undefined
  /** What `rows` gave. */
  let known: Rows | undefined
  let readAt = 0
  const open = new Map<number, { version: number; provider: Promise<ModelProvider>; ready?: ModelProvider }>()

  const read = async (): Promise<Rows> => {
    const [providers, models] = await Promise.all([store.providers(), store.models()])
    return { providers, models }
  }

  return {
    /** Providers and models, at most a few seconds old and never older than our own last change. */
    rows(): Promise<Rows> {
      if (rows && Date.now() - readAt < FRESH_MS) return rows
      readAt = Date.now()
      const fresh = read()
      rows = fresh
      known = undefined
      fresh.then((found) => {
        if (rows === fresh) known = found
      }, () => {
        if (rows === fresh) rows = undefined
      })
      return fresh
    },
    /** The same when they are in memory. */
    rowsNow: (): Rows | undefined => Date.now() - readAt < FRESH_MS ? known : undefined,
    /** To be called after each change of a row. */
    forget(): void {
      rows = undefined
      known = undefined
    },
    /** The provider of a row, made anew when the row has changed since. */
    provider(row: StoredProvider): Promise<ModelProvider> {
      const known = open.get(row.id)
      if (known?.version === row.version) return known.provider
      const provider = connect(row, deps)
      const entry: NonNullable<ReturnType<typeof open.get>> = { version: row.version, provider }
      open.set(row.id, entry)
      provider.then((ready) => entry.ready = ready, () => open.delete(row.id))
      return provider
    },
    /** The same when it was made already. */
    providerNow(row: StoredProvider): ModelProvider | undefined {
      const entry = open.get(row.id)
      return entry?.version === row.version ? entry.ready : undefined
    },
    drop(id: number): void {
      open.delete(id)
    },
  }
}

export type Connections = ReturnType<typeof createConnections>
