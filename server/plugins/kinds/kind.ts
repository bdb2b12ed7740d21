import type * as v from 'valibot'
import type { Manifest } from '../../../shared/plugin-manifest.ts'

/** Asks the plugin to do one thing; rejects with `GatewayError`. */
export type CallPlugin = (request: {
  handle: string
  method: string
  input: unknown
  timeoutMs: number
  signal?: AbortSignal | undefined
  context?: Record<string, string>
  onChunk?: (data: unknown) => void
}) => Promise<unknown>

/** The same with the handle filled in. */
export type CallHandle = (request: Omit<Parameters<CallPlugin>[0], 'handle'>) => Promise<unknown>

/** What every definition has; the owner reads the others. */
export type Named = { name: string; description?: string | undefined; label?: string | undefined }

/** One `register` that was read and may be used. */
export type Registration<D> = {
  /** Name of the plugin; begins its tools' names. */
  plugin: string
  definition: D
  manifest: Manifest
  call: CallHandle
  /** How long a call takes at most, unless its kind says otherwise. */
  timeoutMs: () => number
  /** The folder that is its own to write in; undefined where it has none. */
  dataDir: () => string | undefined
  /** For the plugin's log and its owner. */
  onProblem: (message: string) => void
}

/** A kind of capability: what is written in its `definition`, and what the server makes of it. */
export type Kind<D extends Named, Given> = {
  definition: v.GenericSchema<unknown, D>
  /** Whether the owner accepted this very one; where left out, `capabilities` of the manifest has to name the kind. */
  isDeclared?(manifest: Manifest, definition: D): boolean
  /** Whether two of one plugin can't stand beside each other. */
  clashes?(given: Given, other: Given): boolean
  /** What others get of it, while the plugin runs, by `plugins.given(kind)`. */
  create(registration: Registration<D>): Given
  /** After the plugin was told `register_ok`. */
  begin?(given: Given): void
}

/** Infers the types of a kind from its schema and from what `create` returns. */
export const defineKind = <D extends Named, Given>(kind: Kind<D, Given>): Kind<D, Given> => kind
