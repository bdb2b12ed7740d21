import type { CapabilityKind } from '../../../shared/plugin-protocol.ts'
import { command } from './command.ts'
import type { Kind, Named } from './kind.ts'
import { service } from './service.ts'
import { tool } from './tool.ts'
import { webSearch } from './web-search.ts'

/** The kinds that this server uses, by their name on the wire. */
export const KINDS = { tool, command, service, web_search: webSearch } satisfies Partial<
  Record<CapabilityKind, unknown>
>

export type UsedKind = keyof typeof KINDS

/** What a registration of this kind gives to the rest of the server. */
export type Given<K extends UsedKind> = ReturnType<(typeof KINDS)[K]['create']>

export const isUsed = (kind: CapabilityKind): kind is UsedKind => Object.hasOwn(KINDS, kind)

/** A kind whose definition is only known to fit itself: its own schema has read what its own `create` is given. */
export const kindOf = (kind: UsedKind): Kind<Named, Given<UsedKind>> => KINDS[kind]
