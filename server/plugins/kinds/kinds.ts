import * as v from 'valibot'
import type { Manifest } from '../../../shared/plugin-manifest.ts'
import type { CapabilityKind } from '../../../shared/plugin-protocol.ts'
import { command } from './command.ts'
import { hook } from './hook.ts'
import { httpRoute } from './http-route.ts'
import type { Kind, Named } from './kind.ts'
import { service } from './service.ts'
import { speech } from './speech.ts'
import { textProvider } from './text-provider.ts'
import { tool } from './tool.ts'
import { webSearch } from './web-search.ts'

/** The kinds that this server uses, by their name on the wire. */
export const KINDS = {
  tool,
  command,
  service,
  web_search: webSearch,
  http_route: httpRoute,
  hook,
  text_provider: textProvider,
  speech,
} satisfies Partial<Record<CapabilityKind, unknown>>

export type UsedKind = keyof typeof KINDS

/** What a registration of this kind gives to the rest of the server. */
export type Given<K extends UsedKind> = ReturnType<(typeof KINDS)[K]['create']>

export const isUsed = (kind: CapabilityKind): kind is UsedKind => Object.hasOwn(KINDS, kind)

/** Whether a manifest declares what is to be registered; false for a definition that makes no sense. */
export function declares(manifest: Manifest, kind: CapabilityKind, definition: unknown): boolean {
  if (!isUsed(kind)) return manifest.capabilities.includes(kind)
  const known = kindOf(kind)
  const parsed = v.safeParse(known.definition, definition)
  if (!parsed.success) return false
  return known.isDeclared?.(manifest, parsed.output) ?? manifest.capabilities.includes(kind)
}

/** A kind whose definition is only known to fit itself: its own schema has read what its own `create` is given. */
export const kindOf = (kind: UsedKind): Kind<Named, Given<UsedKind>> => KINDS[kind]
