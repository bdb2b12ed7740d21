import type { ChannelRoute } from '../../shared/channels.ts'
import { invalid } from '../errors.ts'
import { etagOf } from '../http/etag.ts'
import { chatKind, type Place, sessionKey } from './session-key.ts'

/** Where a message goes; `undefined` when a rule drops it. */
export type Destination = { rule: number | null; session_id: string; model?: string; instructions?: string }

/** The first rule whose conditions all hold decides; without one, each chat has a session of its own. */
export function destinationOf(
  place: Place,
  routes: readonly ChannelRoute[],
): Destination | { rule: number; drop: true } {
  const rule = routes.findIndex((route) => holds(route, place))
  const route = routes[rule]
  if (!route) return { rule: null, session_id: sessionKey(place) }
  if (route.ignore) return { rule, drop: true }
  return {
    rule,
    session_id: route.session ?? sessionKey(place),
    ...(route.model === undefined ? {} : { model: route.model }),
    ...(route.instructions === undefined ? {} : { instructions: route.instructions }),
  }
}

function holds({ match }: ChannelRoute, place: Place): boolean {
  const types = [place.chat_type.toLowerCase(), chatKind(place.chat_type)]
  return fits(match.channel?.toLowerCase(), place.channel.toLowerCase()) &&
    (match.chat_type === undefined || types.some((type) => fits(match.chat_type!.toLowerCase(), type))) &&
    fits(match.chat_id, place.chat_id) && fits(match.sender_id, place.sender_id) &&
    fits(match.thread_id, place.thread_id ?? '')
}

/** Whether a text is what the pattern says; `*` stands for any characters, also none. */
export function fits(pattern: string | undefined, text: string): boolean {
  if (pattern === undefined || pattern === '*') return true
  const [head = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return head === text
  const tail = rest.pop()!
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false
  let at = head.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > text.length - tail.length) return false
    at = found + part.length
  }
  return true
}

/** The rules with the tag that a later change may name. */
export type TaggedRules = { routes: readonly ChannelRoute[]; etag: string }
export const withTag = (routes: readonly ChannelRoute[]): TaggedRules => ({
  routes,
  etag: etagOf(JSON.stringify(routes)),
})

/** Throws `invalid_input` for a rule that drops what it also sends somewhere, or sends it to somebody unknown. */
export function noContradiction(rules: readonly ChannelRoute[], agent: string): void {
  for (const [i, { ignore, session, model, instructions, agent: wanted }] of rules.entries()) {
    if (ignore && (wanted ?? session ?? model ?? instructions) !== undefined) {
      throw invalid(`routes.${i}.ignore`, 'drops what matches; leave out agent, session, model and instructions')
    }
    if (wanted !== undefined && plain(wanted) !== plain(agent)) {
      throw invalid(`routes.${i}.agent`, `is not known; this server has one agent, ${agent}`)
    }
  }
}

/** "My Agent" and the "my-agent" of /api/v1/agents are one. */
const plain = (name: string): string => name.normalize('NFKD').toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '')
