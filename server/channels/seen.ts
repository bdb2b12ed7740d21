import type { NewInbound } from './inbox-store.ts'
import type { Tx } from './tables.ts'

/** Notes that people and groups were seen: one statement for all of them, for each costs more than what it writes. */
export async function noteSeen(tx: Tx, rows: readonly { row: NewInbound; inGroup: boolean }[]): Promise<void> {
  const people = tally(rows, ({ row }) => [row.channel, row.sender_id])
  if (people.length === 0) return
  await tx.insertInto('channel_people').values(people.map(({ row, messages }) => ({
    channel: row.channel,
    person_id: row.sender_id,
    name: row.sender_name,
    disposition: null,
    paired: 0,
    trusted: 0,
    messages,
    last_seen_at: row.at,
  }))).onConflict((conflict) =>
    conflict.columns(['channel', 'person_id']).doUpdateSet((e) => ({
      name: e.ref('excluded.name'),
      messages: e('channel_people.messages', '+', e.ref('excluded.messages')),
      last_seen_at: e.ref('excluded.last_seen_at'),
    }))
  ).execute()
  const groups = tally(rows.filter(({ inGroup }) => inGroup), ({ row }) => [row.channel, row.chat_id])
  if (groups.length === 0) return
  await tx.insertInto('channel_groups').values(groups.map(({ row, messages }) => ({
    channel: row.channel,
    chat_id: row.chat_id,
    allowed: null,
    activation: null,
    disposition: null,
    messages,
    last_seen_at: row.at,
  }))).onConflict((conflict) =>
    conflict.columns(['channel', 'chat_id']).doUpdateSet((e) => ({
      messages: e('channel_groups.messages', '+', e.ref('excluded.messages')),
      last_seen_at: e.ref('excluded.last_seen_at'),
    }))
  ).execute()
}

/** The last row of each, and how many there are. */
function tally<R extends { row: NewInbound }>(
  rows: readonly R[],
  keyOf: (row: R) => string[],
): { row: NewInbound; messages: number }[] {
  const found = new Map<string, { row: NewInbound; messages: number }>()
  for (const entry of rows) {
    const key = JSON.stringify(keyOf(entry))
    found.set(key, { row: entry.row, messages: (found.get(key)?.messages ?? 0) + 1 })
  }
  return [...found.values()]
}
