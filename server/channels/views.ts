import { decodeTime } from 'ulid'
import type {
  Channel,
  ChannelGroup,
  ChannelPerson,
  ChannelSettings,
  OutboxEntry,
  OutboxState,
} from '../../shared/channels.ts'
import type { Gateway } from '../plugins/gateway.ts'
import { isKnown, isTrusted, judge } from './access.ts'
import type { Activity } from './activity.ts'
import type { InboxStore } from './inbox-store.ts'
import type { OutboxStore, OutRow } from './outbox-store.ts'
import type { GroupRow, PeopleStore, PersonRow } from './people-store.ts'

/** Channels as the page and the terminal show them. */
export function createViews(deps: {
  gateways: () => Gateway[]
  inbox: InboxStore
  outbox: OutboxStore
  people: PeopleStore
  activity: Activity
  settings: (name: string) => ChannelSettings
}) {
  return async (): Promise<Channel[]> => {
    const [came, went, letIn] = await Promise.all([
      deps.inbox.counts(),
      deps.outbox.counts(),
      deps.people.letIn(),
    ])
    return deps.gateways().map((gateway) => {
      const { name } = gateway
      const lately = deps.activity.view(name)
      const sent = (state: OutRow['state']): number =>
        went.find((row) => row.channel === name && row.state === state)?.n ?? 0
      const last = lately.last_message_at ?? (came.has(name) ? came.get(name)!.last / 1000 : null)
      return {
        name,
        plugin: gateway.plugin,
        state: gateway.state,
        identity: gateway.ready
          ? {
            gateway: gateway.ready.gateway,
            version: gateway.ready.version,
            capabilities: gateway.ready.capabilities,
            name: gateway.status?.identity ?? null,
          }
          : null,
        connected: gateway.state === 'ready' ? gateway.status?.connected ?? true : false,
        detail: gateway.status?.detail ?? null,
        problem: gateway.problem ?? null,
        open_to: openTo(deps.settings(name), letIn.get(name)),
        messages: {
          in: came.get(name)?.messages ?? 0,
          out: sent('sent'),
          in_last_hour: lately.in,
          out_last_hour: lately.out,
        },
        throughput: lately.throughput,
        outbox: { waiting: sent('waiting'), dead: sent('dead') },
        last_message_at: last,
        last_error: lately.last_error,
        auth: lately.auth,
      }
    })
  }
}

/** Who may write, in words. */
function openTo(
  settings: ChannelSettings,
  letIn: { people: Set<string>; groups: Set<string> } = { people: new Set(), groups: new Set() },
): string {
  if (settings.allowed_users.includes('*')) return 'everybody'
  const where = settings.allowed_groups.includes('*')
    ? ['every group']
    : counted(settings.allowed_groups, letIn.groups, ['1 group', 'groups', 'every group matching'])
  const who = counted(settings.allowed_users, letIn.people, ['1 person', 'people', 'everybody matching'])
  return listOf.format([...who, ...where]) || 'nobody'
}

/** How many there are by their ids, and the patterns: nobody knows how many match one. */
function counted(
  allowed: readonly string[],
  letIn: ReadonlySet<string>,
  [one, many, matching]: readonly [string, string, string],
): string[] {
  const ids = new Set([...allowed.filter((id) => !id.endsWith('*')), ...letIn])
  const patterns = new Set(allowed.filter((id) => id.endsWith('*')))
  return [
    ...(ids.size > 0 ? [ids.size === 1 ? one : `${ids.size} ${many}`] : []),
    ...[...patterns].map((pattern) => `${matching} ${pattern}`),
  ]
}

const listOf = new Intl.ListFormat('en-GB', { type: 'conjunction' })

export function toPerson(person: PersonRow, settings: ChannelSettings): ChannelPerson {
  const { last_seen_at, paired, trusted, ...row } = person
  const id = person.person_id
  const place = { channel: person.channel, chat_type: 'dm', chat_id: id, sender_id: id }
  return {
    ...row,
    paired: paired === 1,
    trusted: trusted === 1,
    in_effect: {
      may_write: isKnown(settings, id, person),
      trusted: isTrusted(settings, id, person),
      action: judge({ settings, place, person, group: undefined, addressed: true }).action,
    },
    last_seen_at: last_seen_at === null ? null : last_seen_at / 1000,
  }
}

export const toGroup = ({ last_seen_at, allowed, ...row }: GroupRow): ChannelGroup => ({
  ...row,
  allowed: allowed === null ? null : allowed === 1,
  last_seen_at: last_seen_at === null ? null : last_seen_at / 1000,
})

export const toEntry = (row: OutRow): OutboxEntry => ({
  id: row.id,
  channel: row.channel,
  chat_id: row.chat_id,
  thread_id: row.thread_id || null,
  kind: row.kind,
  text: row.body.text,
  attachment: row.body.attachment ?? null,
  state: row.state satisfies OutboxState,
  attempts: row.attempts,
  error: row.error,
  message_id: row.message_id,
  session_id: row.session_id,
  turn_id: row.turn_id,
  // What is sent again has three days anew, by the time in its row.
  created_at: decodeTime(row.id) / 1000,
  next_at: row.next_at / 1000,
  sent_at: row.sent_at === null ? null : row.sent_at / 1000,
})
