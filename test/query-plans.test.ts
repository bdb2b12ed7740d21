import assert from 'node:assert/strict'
import BlockingDatabase from 'libsql'
import ThreadedDatabase from 'libsql/promise'
import { join } from 'node:path'
import { afterEach, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { migrate } from '../server/db/migrate.ts'
import { openDatabase } from '../server/db/open.ts'
import { toolCall } from '../server/models/providers/scripted.ts'
import { answered, begin, closeAll, echo } from './support/channel-app.ts'

afterEach(closeAll)

/** Tables of what somebody configured, and of the people and groups of chats: few rows, whatever the age of the server. */
const SMALL = new Set(
  ('migrations event_epochs sqlite_sequence providers models plugins plugin_registrations mcp_servers mcp_tools ' +
    'channel_routes channel_people channel_groups').split(' '),
)

/** Indexes of the few rows that are open or wait; whatever reads one of them may sort what it finds. */
const FEW = /INDEX (turns_open|approvals_pending|channel_inbox_open|channel_outbox_waiting|channel_outbox_buttons)\b/

/** What looks at a whole table with a person's click on a page, in another thread. */
const KNOWN = ['count(distinct nullif(turn_id', 'with recursive family', 'group by channel']

it('no statement of a conversation, on the web or in a chat, reads a whole table or sorts', async () => {
  const seen = new Set<string>()
  const { app, chat } = await begin({
    answers: [[toolCall('memory.remember', { text: 'Tea, not coffee.' })], ...echo()],
    async prepare(home) {
      const database = await openDatabase({ url: pathToFileURL(join(home, 'gatehouse.db')).href })
      await migrate(database)
      await database.close()
      // From here on: the statements of migrations would not run again.
      record(BlockingDatabase.prototype, seen)
      record(ThreadedDatabase.prototype, seen)
    },
  })
  await app.json('/api/sessions/a/messages', { json: { text: 'Note that I like tea' } })
  await app.events('a', 0, ({ type }) => type === 'approval')
  const { approvals } = await app.json<{ approvals: { id: string }[] }>('/api/approvals?state=pending')
  await app.json(`/api/approvals/${approvals[0]!.id}`, { json: { decision: 'allow_session' } })
  await app.events('a', 0, ({ type }) => type === 'turn_finished')
  await app.ask('a', 'Which do I like?')
  await app.json('/api/sessions/a/retry', { json: {} })
  await app.ask('a', 'And in the evening?')
  const { messages } = await app.json<{ messages: { id: string; role: string }[] }>('/api/sessions/a/messages')
  await app.json('/api/sessions/a/branch', {
    json: { message_id: messages.findLast(({ role }) => role === 'user')!.id },
  })
  for (const path of ['', '/search?q=tea', '/a', '/a/runs', '/a/context', '/a/queue', '/a/export?format=json']) {
    await app.json(`/api/sessions${path}`)
  }
  await app.json('/api/sessions/a/clear', { json: {} })
  await app.json('/api/sessions/a', { method: 'DELETE' })
  await chat.say({ text: 'Hello', id: '1' })
  await answered(chat, 1)
  await chat.say({ text: '/usage', id: '2' })
  await answered(chat, 2)
  for (const path of ['channels', 'channel-people', 'outbox']) await app.json(`/api/${path}`)

  const wrong: string[] = []
  for (const sql of seen) {
    if (!/^\s*(select|with|insert|update|delete)\b/i.test(sql) || KNOWN.some((part) => sql.includes(part))) continue
    const parameters = [...sql.matchAll(/\?/g)].map(() => null)
    const plan = await app.database.all<{ detail: string }>(`explain query plan ${sql}`, parameters)
    const steps = plan.map(({ detail }) => detail).filter((detail) => !/CONSTANT ROW|VIRTUAL TABLE/.test(detail))
    if (grows(steps, sql)) wrong.push(`${steps.join('; ')}: ${sql}`)
  }
  assert.ok(seen.size > 80, `only ${seen.size} statements were seen`)
  assert.deepEqual(wrong, [])
})

/** Every statement is prepared before it runs the first time. */
function record(prototype: { prepare: unknown }, seen: Set<string>): void {
  const prepare = prototype.prepare as (this: unknown, sql: string) => unknown
  prototype.prepare = function (this: unknown, sql: string) {
    seen.add(sql)
    return prepare.call(this, sql)
  }
}

/** Whether what a statement reads grows with the age of the server: a whole table, or all that it sorts. */
function grows(steps: string[], sql: string): boolean {
  if (steps.some((step) => FEW.test(step))) return false
  const scanned = steps.flatMap((step) => /^SCAN (\S+)/.exec(step)?.[1] ?? [])
  if (steps.some((step) => step.includes('TEMP B-TREE'))) return !scanned.some((table) => SMALL.has(table))
  // In the order of an index, a page ends the reading.
  return scanned.some((table) => !SMALL.has(table)) && !sql.includes(' limit ')
}
