import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { migrate } from '../server/db/migrate.ts'
import { openDatabase } from '../server/db/open.ts'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import type { Approval } from '../shared/approvals.ts'
import type { AuditCheck, AuditPage } from '../shared/auth.ts'
import type { ToolRules } from '../shared/tools.ts'
import type { TurnEvent } from '../shared/turn-events.ts'
import { OWNER_TOKEN, type TestApp, testApp } from './support/app.ts'
import { runCli } from './support/cli.ts'

const opened: TestApp[] = []
async function open(options: Parameters<typeof testApp>[0] = {}): Promise<TestApp> {
  const app = await testApp(options)
  opened.push(app)
  return app
}
after(async () => {
  for (const app of opened) await app.close()
})

type Page = { approvals: Approval[]; nextCursor: string | null }
const note = (title: string) => toolCall('notes.create', { title, content: 'x' })
const finished = (event: TurnEvent) => event.type === 'turn_finished'

/** Sends a text that makes the model ask, and gives the question. */
async function ask(app: TestApp, session: string): Promise<Approval> {
  await app.json(`/api/sessions/${session}/messages`, { json: { text: 'note it' } })
  await app.events(session, 0, (event) => event.type === 'approval')
  return (await app.json<Page>(`/api/approvals?session_id=${session}`)).approvals[0]!
}

describe('an approval', () => {
  it('is answered exactly once: of many answers at the same time one wins and the others are told', async () => {
    const app = await open({ model: scripted([[note('A')], 'ok']) })
    const { id } = await ask(app, 'race')
    const answers = await Promise.all(
      ['allow_once', 'deny', 'allow_session', 'allow_always', 'deny'].map((decision) =>
        app.request(`/api/approvals/${id}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ decision }),
        })
      ),
    )
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409, 409])
    const winner = await answers.find(({ status }) => status === 200)!.json() as Approval
    const loser = await answers.find(({ status }) => status === 409)!.json() as { detail: string }
    assert.match(loser.detail, new RegExp(`already answered: ${winner.state} by GATEHOUSE_TOKEN`))
    const events = await app.events('race', 0, finished)
    assert.equal(events.filter((event) => event.type === 'approval_decided').length, 1)
    const { grants } = await app.json<ToolRules>('/api/tool-rules')
    assert.equal(grants.length, /allow_(session|always)/.test(winner.state) ? 1 : 0)
    const { items } = await app.json<AuditPage>('/api/audit?action=approval.')
    assert.deepEqual(items.map(({ action, detail }) => [action, detail.via]), [[`approval.${winner.state}`, 'rest']])
  })

  it('may be answered only by the handle of the session, and not by a key that only reads', async () => {
    const app = await open({ model: scripted([[note('A')]]) })
    const { id } = await ask(app, 'mine')
    const keyOf = async (handle: string, scopes: string[]) =>
      (await app.json<{ secret: string }>('/api/keys', { json: { name: 'k', scopes, handle } })).secret
    const guest = await keyOf('guest', ['chat', 'read'])
    const reader = await keyOf('owner', ['read'])
    await app.json(`/api/approvals/${id}`, { json: { decision: 'allow_once' }, token: guest, status: 404 })
    await app.json(`/api/approvals/${id}`, { json: { decision: 'allow_once' }, token: reader, status: 403 })
    assert.deepEqual((await app.json<Page>('/api/approvals?state=all', { token: guest })).approvals, [])
    assert.equal((await app.json<Page>('/api/approvals')).approvals[0]!.state, 'pending')
  })

  it('runs the arguments that were shown, and the model hears why not', async () => {
    const model = scripted([[note('A')], 'All right.'])
    const app = await open({ model })
    const { id, arguments: shown } = await ask(app, 'no')
    assert.deepEqual(shown, { title: 'A', content: 'x' })
    await app.json(`/api/approvals/${id}`, { json: { decision: 'deny', reason: 'Use the work vault' } })
    await app.events('no', 0, finished)
    assert.match(String(model.requests[1]!.messages.at(-1)!.content), /declined .*Use the work vault/)
    await app.json(`/api/approvals/${id}`, { json: { decision: 'deny', reason: 'x'.repeat(1001) }, status: 400 })
  })

  it('that nobody answers expires, and its turn goes on', async () => {
    const model = scripted([[note('A')], 'Then not.'])
    const app = await open({ model })
    const { id } = await ask(app, 'late')
    await app.database.run('update approvals set expires_at = 1 where id = ?', [id])
    const events = await app.events('late', 0, finished)
    assert.equal((events.at(-1) as { state: string }).state, 'completed')
    assert.match(String(model.requests[1]!.messages.at(-1)!.content), /Nobody answered/)
    await app.json(`/api/approvals/${id}`, { json: { decision: 'allow_once' }, status: 409 })
    const { items } = await app.json<AuditPage>('/api/audit?action=approval.expired')
    assert.deepEqual([items[0]!.actor_kind, items[0]!.handle], ['system', 'owner'])
  })

  it('lists by state and session, page by page', async () => {
    const app = await open({ model: scripted([[note('A')], 'ok', [note('B')], [note('C')]]) })
    const first = await ask(app, 'a')
    await app.json(`/api/approvals/${first.id}`, { json: { decision: 'deny' } })
    await app.events('a', 0, finished)
    const second = await ask(app, 'b')
    const third = await ask(app, 'c')
    const ids = async (query: string) => (await app.json<Page>(`/api/approvals${query}`)).approvals.map(({ id }) => id)
    assert.deepEqual(await ids(''), [third.id, second.id])
    assert.deepEqual(await ids('?state=deny'), [first.id])
    assert.deepEqual(await ids('?state=all&session_id=b'), [second.id])
    const page = await app.json<Page>('/api/approvals?state=all&limit=2')
    assert.deepEqual(page.approvals.map(({ id }) => id), [third.id, second.id])
    assert.deepEqual(await ids(`?state=all&limit=2&cursor=${page.nextCursor}`), [first.id])
    for (const query of ['?state=maybe', '?limit=0', '?limit=999', '?cursor=nonsense']) {
      await app.json(`/api/approvals${query}`, { status: 400 })
    }
  })
})

describe('standing answers from before rules', () => {
  it('are rules now, and still hold', async () => {
    const home = await mkdtemp(join(tmpdir(), 'gatehouse-test-'))
    const all = join(import.meta.dirname, '..', 'server', 'db', 'migrations')
    const before = join(home, 'before')
    await mkdir(before)
    const names = (await readdir(all)).filter((name) => name.endsWith('.sql')).sort()
    const until = names.findIndex((name) => name.endsWith('-tool-rules.sql'))
    for (const name of names.slice(0, until)) await cp(join(all, name), join(before, name))
    const old = await openDatabase({ url: pathToFileURL(join(home, 'gatehouse.db')).href })
    await migrate(old, before)
    await old.run("insert into approval_grants values ('owner', null, 'notes.create', 1000)")
    await old.run(
      "insert into audit (at, actor_kind, actor_id, actor_name, handle, action, target, detail, address) values (1, 'user', '', '', '', 'old', '', '{}', '')",
    )
    await old.close()

    const app = await open({ home, model: scripted([[note('A')], 'ok']) })
    assert.equal((await app.ask('x', 'go')).state, 'completed')
    const { grants } = await app.json<ToolRules>('/api/tool-rules')
    assert.deepEqual(grants.map(({ tool, arguments: args }) => [tool, args]), [['notes.create', null]])
    const check = await app.json<AuditCheck>('/api/audit/verify')
    assert.deepEqual([check.ok, check.rows - check.chained], [true, 1])
    await app.database.run("update audit set target = 'x' where id = 1")
    assert.equal((await app.json<AuditCheck>('/api/audit/verify')).ok, false)
  })
})

describe('the audit log', () => {
  const fill = async (app: TestApp) => {
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => app.json('/api/keys', { json: { name: `key ${i}`, scopes: ['read'] } })),
    )
  }
  const check = (app: TestApp) => app.json<AuditCheck>('/api/audit/verify')

  it('is one chain, also when many write at once and after a restart', async () => {
    const app = await open()
    await fill(app)
    const before = await check(app)
    assert.deepEqual([before.ok, before.rows, before.chained], [true, before.rows, before.rows])
    assert.ok(before.rows >= 20)
    await app.stop()
    await app.database.close()
    const again = await open({ home: app.home })
    await fill(again)
    const later = await check(again)
    assert.deepEqual([later.ok, later.rows, later.head.id], [true, before.rows + 20, before.rows + 20])
  })

  it('stays whole when answers and other entries are written side by side, and has one row for each answer', async () => {
    const app = await open({ model: scripted(Array.from({ length: 8 }, (_, i) => [note(`N${i}`)])) })
    const asked = []
    for (let i = 0; i < 8; i++) asked.push(await ask(app, `s${i}`))
    await Promise.all([
      fill(app),
      ...asked.map(({ id }) => app.json(`/api/approvals/${id}`, { json: { decision: 'deny' } })),
      fill(app),
    ])
    const { ok, broken } = await check(app)
    assert.equal(ok, true, broken?.problem)
    const { items } = await app.json<AuditPage>('/api/audit?action=approval.deny&limit=50')
    assert.deepEqual(items.map(({ target }) => target).sort(), asked.map(({ id }) => id).sort())
  })

  it('and the answer are one: what could not be noted was not answered', async () => {
    const app = await open({ model: scripted([[note('A')], 'Done.']) })
    const { id } = await ask(app, 's')
    await app.database.run(
      `create trigger no_room before insert on audit when new.action like 'approval.%' begin
        select raise(abort, 'no room'); end`,
    )
    await app.json(`/api/approvals/${id}`, { json: { decision: 'allow_once' }, status: 500 })
    assert.equal((await app.json<Approval>(`/api/approvals/${id}`)).state, 'pending')
    await app.database.run('drop trigger no_room')
    await app.json(`/api/approvals/${id}`, { json: { decision: 'allow_once' } })
    await app.events('s', 0, finished)
    assert.equal((await check(app)).ok, true)
  })

  it('shows every kind of tampering', async () => {
    const tamperings: [string, RegExp][] = [
      ["update audit set actor_name = 'somebody else' where id = 7", /changed/],
      ["update audit set detail = '{}' where id = 7", /changed/],
      ['update audit set at = at + 1 where id = 7', /changed/],
      ['delete from audit where id = 7', /removed/],
      ['delete from audit where id > 15', /newest rows were removed/],
      ['delete from audit', /newest rows were removed/],
      ["update audit set hash = '' where id = 7", /no hash/],
      ['update audit set id = id + 100 where id > 10', /removed/],
    ]
    for (const [sql, problem] of tamperings) {
      const app = await open()
      await fill(app)
      await app.database.run(sql)
      const { ok, broken } = await check(app)
      assert.equal(ok, false, sql)
      assert.match(broken!.problem, problem, sql)
    }
  })

  it('keeps calls with their secrets left out', async () => {
    const app = await open({
      model: scripted([[toolCall('notes.create', {
        title: 'A',
        content: 'Bearer abcdefghijklmnop',
        api_key: 'hunter2-hunter2',
      })]]),
    })
    await ask(app, 's')
    const { items } = await app.json<AuditPage>('/api/audit?action=tool.asked')
    assert.equal(items[0]!.target, 'notes.create')
    assert.doesNotMatch(JSON.stringify(items), /hunter2|abcdefghijklmnop/)
    assert.match(JSON.stringify(items[0]!.detail.arguments), /redacted/)
  })

  it('is checked by gatehouse audit verify, whose exit code tells', async () => {
    const app = await open()
    await fill(app)
    const home = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'))
    const env = { GATEHOUSE_URL: await app.listen(), GATEHOUSE_TOKEN: OWNER_TOKEN }
    const right = await runCli(['audit', 'verify'], { home, env })
    assert.deepEqual([right.code, right.stderr], [0, ''])
    assert.match(right.stdout, /rows are as they were written\. Head: \d+ [0-9a-f]{64}/)
    await app.database.run("update audit set action = 'nothing' where id = 3")
    const wrong = await runCli(['audit', 'verify'], { home, env })
    assert.equal(wrong.code, 1)
    assert.match(wrong.stdout, /Broken at row 3/)
    assert.match((await runCli(['audit', '--action', 'key.'], { home, env })).stdout, /key\.created/)
    await rm(home, { recursive: true, force: true })
  })
})
