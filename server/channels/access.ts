import type { ChannelSettings, Disposition } from '../../shared/channels.ts'
import type { GroupRow, PersonRow } from './people-store.ts'
import { chatKind, type Place } from './session-key.ts'

/** What becomes of a message, and why. */
export type Verdict = { action: 'answer' | 'context' | 'record' | 'pair' | 'drop'; reason: string }

type Judged = {
  settings: ChannelSettings
  place: Place
  person: PersonRow | undefined
  /** Undefined in direct chats, and for groups that nobody decided about. */
  group: GroupRow | undefined
  /** Whether the agent was named, or one of its messages answered. */
  addressed: boolean
}

/**
 * Decides before anything else happens. Nobody may write unless the configuration names them, they are paired, or their
 * group is allowed; who is blocked is so everywhere.
 */
export function judge({ settings, place, person, group, addressed }: Judged): Verdict {
  const own = dispositionOf(settings, place.sender_id, person)
  if (own === 'block') return { action: 'drop', reason: 'this person is blocked' }
  const known = isKnown(settings, place.sender_id, person)

  if (chatKind(place.chat_type) === 'dm') {
    if (known) return as(own ?? 'allow', 'this person may write')
    if (settings.pairing) return { action: 'pair', reason: 'a stranger may ask to be let in' }
    return { action: 'drop', reason: 'this person is not allowed to write' }
  }

  if (group?.allowed === 0) return { action: 'drop', reason: 'this group is refused' }
  const open = group?.allowed === 1 || matches(settings.allowed_groups, place.chat_id)
  if (!open && !known) return { action: 'drop', reason: 'neither this group nor this person is allowed' }
  const disposition = own ?? (known ? 'allow' : group?.disposition ?? settings.group_disposition)
  if (disposition !== 'allow') return as(disposition, 'members of this group')
  const activation = group?.activation ?? settings.activation
  if (activation === 'mention' && !addressed) {
    return { action: 'context', reason: 'in this group the agent answers when it is mentioned' }
  }
  return { action: 'answer', reason: open ? 'this group is allowed' : 'this person may write' }
}

function as(disposition: Disposition, reason: string): Verdict {
  const action = ({ allow: 'answer', passive: 'context', silent: 'record', block: 'drop' } as const)[disposition]
  return { action, reason: disposition === 'allow' ? reason : `${reason}; disposition ${disposition}` }
}

/** May write as this very person: by the configuration, or paired. */
export const isKnown = (settings: ChannelSettings, id: string, person: PersonRow | undefined): boolean =>
  matches(settings.allowed_users, id) || person?.paired === 1

/**
 * May answer questions of the agent that their own messages caused, let others in and choose models. A pattern such as
 * `*` opens the channel, but trusts nobody.
 */
export const isTrusted = (settings: ChannelSettings, id: string, person: PersonRow | undefined): boolean =>
  names(settings.allowed_users, id) || (person?.trusted === 1 && isKnown(settings, id, person)) ||
  names(settings.approvers ?? [], id)

/** Whether somebody may answer a question that `requester` caused. */
export function mayApprove(
  settings: ChannelSettings,
  id: string,
  person: PersonRow | undefined,
  requester: string | null,
): boolean {
  if (dispositionOf(settings, id, person) === 'block') return false
  if (settings.approvers) return names(settings.approvers, id)
  return requester === id && isTrusted(settings, id, person)
}

/** Said of this person in particular: by the owner, else in the configuration, the longest pattern last. */
function dispositionOf(settings: ChannelSettings, id: string, person: PersonRow | undefined): Disposition | undefined {
  if (person?.disposition) return person.disposition
  if (Object.hasOwn(settings.dispositions, id)) return settings.dispositions[id]
  const patterns = Object.keys(settings.dispositions).filter((pattern) =>
    pattern.endsWith('*') && matches([pattern], id)
  )
  const longest = patterns.sort((a, b) => b.length - a.length)[0]
  return longest === undefined ? undefined : settings.dispositions[longest]
}

/** By the full id. A pattern names nobody, also not somebody who calls themselves `guest*`. */
const names = (ids: readonly string[], id: string): boolean => !id.endsWith('*') && ids.includes(id)

/** Exact, or with one star at the end whatever begins so. */
const matches = (patterns: readonly string[], id: string): boolean =>
  patterns.some((pattern) => pattern.endsWith('*') ? id.startsWith(pattern.slice(0, -1)) : pattern === id)
