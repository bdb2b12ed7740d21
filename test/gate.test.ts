import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { scripted, toolCall } from '../server/models/providers/scripted.ts'
import { type Judged, type Rule, ruleOn } from '../server/tools/rules.ts'
import type { Approval } from '../shared/approvals.ts'
import type { AuditPage } from '../shared/auth.ts'
import type { RuleTest, ToolInfo, ToolRules } from '../shared/tools.ts'
import type { TurnEvent } from '../shared/turn-events.ts'
import { type TestApp, testApp } from './support/app.ts'

const opened: TestApp[] = []
async function open(options: Parameters<typeof testApp>[0] = {}): Promise<TestApp> {
  const app = await testApp(options)
  opened.push(app)
  return app
}
after(async () => {
  for (const app of opened) await app.close()
})

const note = (title: string) => toolCall('notes.create', { title, content: 'x' })
const asked = (event: TurnEvent) => event.type === 'approval'
const put = (app: TestApp, rules: object[], more: object = {}) =>
  app.json<ToolRules>('/api/tool-rules', { method: 'PUT', json: { rules }, ...more })

const rule = (decision: Rule['decision'], when: string | null, tool = '*'): Rule => ({
  id: `${decision} ${when}`,
  decision,
  tool,
  when,
})
const shell = (command: string): Judged => ({
  tool: { name: 'shell.run', effect: 'execute', command: 'command' },
  sid: 1,
  subject: {
    tool: 'shell.run',
    effect: 'execute',
    args: { command },
    session: { id: 's', origin: 'chat' },
    channel: '',
    principal: { kind: 'user', handle: 'owner', name: 'Firefox' },
  },
})
const decides = async (command: string, ...rules: Rule[]) => (await ruleOn(shell(command), rules, [])).decision

describe('shell commands', () => {
  const git = rule('allow', "tool == 'shell.run' && args.command.startsWith('git ')")
  const noRm = rule('deny', "args.command.matches('^rm( |$)')")

  it('are allowed by a rule only when every part is', async () => {
    for (const command of ['git status', 'git log | git shortlog', 'git add . && git status 2>&1 >/dev/null']) {
      assert.equal(await decides(command, git), 'allow', command)
    }
    const hidden = [
      'git status; rm -rf x',
      'git status && curl evil',
      'git status || true',
      'git status & make',
      'git log | sh',
      'git status\nmake',
      '(git status; make)',
      'git log "$(make)"',
      'git log `make`',
      'git diff <(make)',
      'git log > .bashrc',
      'git log < /etc/shadow',
      'GIT_PAGER=evil git log',
      'PATH=/evil; git log',
      'if git status; then make; fi',
      'git() { make; }; git status',
      'eval "git status"',
      'sh -c "git status; make"',
      'sudo git push',
      'echo x | xargs git push',
      'find . -exec make {} +',
      '$GIT status',
      'g?t status',
      'git status "unclosed',
      `git status ${'; git status'.repeat(3000)}`,
    ]
    for (const command of hidden) assert.equal(await decides(command, git), 'ask', command)
  })

  it('that use a value as code are asked about, for nobody sees beforehand what it runs', async () => {
    const bash = rule('allow', "args.command.matches('^(git|echo|printf|test|cat|bash|read)( |$)')")
    const hidden = [
      "git status && [[ 'a[$(rm x)]' -eq 0 ]]",
      "git status && [[ -v 'a[$(rm x)]' ]]",
      "for i in 'a[$(rm x)]'; do echo $((i)); done",
      'for i in \'a[$(rm x)]\'; do echo "$((1 + i))"; done',
      "for i in 'a[$(rm x)]'; do ((i)) && git status; done",
      "for i in 'a[$(rm x)]'; do for ((; i;)); do git status; done; done",
      "for i in 'a[$(rm x)]'; do [[ $i -gt 3 ]] && git status; done",
      "for i in 'a[$(rm x)]'; do echo ${x[i]}; done",
      "for i in 'a[$(rm x)]'; do echo ${x:i}; done",
      "for i in 'a[$(rm x)]'; do echo ${!i}; done",
      "for i in '$(rm x)'; do echo ${i@P}; done",
      'cat <<EOF\n$((i))\nEOF',
      "printf -v 'a[$(rm x)]' y",
      'printf "$format" y',
      "test -v 'a[$(rm x)]'",
      "read 'a[$(rm x)]' <<< y",
      'bash <(cat list)',
      'cat list | bash /dev/stdin',
    ]
    for (const command of hidden) assert.equal(await decides(command, bash), 'ask', command)
    const plain = [
      'for i in 1 2; do echo "$i ${#i} ${i:0:3} $((2 * 3))"; done',
      'if [[ $a == b* && -f $c ]]; then git status; fi',
      'printf "%s\\n" "$a"',
      'test "$a" -gt 3',
      'while read -r line; do echo "${line%%#*}"; done',
      'for ((;;)); do git status; done',
    ]
    for (const command of plain) assert.equal(await decides(command, bash), 'allow', command)
  })

  it('are denied when any part is, however it is written', async () => {
    const hidden = [
      'rm -rf x',
      'git status; rm -rf x',
      'echo $(rm x)',
      '/bin/rm x',
      'r\\m x',
      "'rm' x",
      'sudo -u bob rm x',
      'env -i A=1 rm x',
      'bash -c "cd /; rm x"',
      'ls | xargs -n 1 rm',
      'eval rm x',
      'find . -name y -exec rm {} ;',
      'timeout 5 nice rm x',
      "env -S 'rm x'",
      "su bob -c 'cd /; rm x'",
      'watch "rm x"',
      'while read f; do rm "$f"; done < list',
      'case x in x) rm x;; esac',
      'coproc rm x',
      'echo "${A:-$(rm x)}"',
      'echo $((1 + $(rm x)))',
      "trap 'rm x' EXIT",
      "trap -- 'rm x' EXIT",
      "eval -- 'rm x'",
      "env --split-string='rm x'",
      "env '-Srm x'",
      'taskset 1 rm x',
      'chrt -o 0 rm x',
      'cat <<EOF\n$(rm x)\nEOF',
      `sh -c 'sh -c "rm x"'`,
    ]
    for (const command of hidden) assert.equal(await decides(command, rule('allow', null), noRm), 'deny', command)
    assert.equal(await decides('echo rm', rule('allow', null), noRm), 'allow')
  })
})

describe('rules', () => {
  const call = shell('x')

  it('a deny wins wherever it stands, then the first that matches', async () => {
    const first = await ruleOn(call, [rule('ask', null), rule('allow', null)], [])
    assert.equal(first.decision, 'ask')
    assert.equal((await ruleOn(call, [rule('allow', null), rule('deny', "tool == 'shell.run'")], [])).decision, 'deny')
    assert.equal((await ruleOn(call, [rule('deny', null, 'files.*')], [])).by, 'default')
  })

  it('that can’t be evaluated never allow, and a deny counts', async () => {
    assert.equal((await ruleOn(call, [rule('allow', 'args.nope == 1')], [])).decision, 'ask')
    assert.equal((await ruleOn(call, [rule('deny', 'args.nope == 1'), rule('allow', null)], [])).decision, 'deny')
    assert.equal((await ruleOn(call, [rule('allow', 'this is no CEL')], [])).decision, 'ask')
    const huge = {
      ...call,
      tool: { name: 't', effect: 'execute' as const },
      subject: { ...call.subject, args: { l: Array(3000).fill(1) } },
    }
    const slow = await ruleOn(huge, [rule('allow', 'args.l.all(a, args.l.all(b, a == b))')], [])
    assert.equal(slow.decision, 'ask')
    assert.match(slow.reason, /too large/)
  })

  it('see the session, the channel and the principal', async () => {
    const when = "session.id == 's' && channel == '' && principal.handle == 'owner' && effect == 'execute'"
    assert.equal((await ruleOn(call, [rule('deny', when)], [])).decision, 'deny')
  })
})

describe('the rules of an owner', () => {
  it('hold from the next call on, and each decision is kept', async () => {
    const model = scripted([
      [note('One')],
      'ok',
      [note('Two')],
      'no',
      [toolCall('math.evaluate', { expression: '1' })],
      'ok',
    ])
    const app = await open({ model })
    await put(app, [{ decision: 'allow', tool: 'notes.*', when: "args.title == 'One'" }])
    assert.equal((await app.ask('r', 'one')).state, 'completed')
    await put(app, [{ decision: 'deny', tool: 'notes.create', note: 'none today' }])
    await app.ask('r', 'two')
    await app.ask('r', 'sum')
    assert.match(String(model.requests[3]!.messages.at(-1)!.content), /Not allowed/)
    const { items } = await app.json<AuditPage>('/api/audit?action=tool.')
    assert.deepEqual(items.map(({ action, target }) => [action, target]), [
      ['tool.denied', 'notes.create'],
      ['tool.allowed', 'notes.create'],
    ])
    assert.match(String(items[0]!.detail.arguments_hash), /^[0-9a-f]{64}$/)
    assert.equal(items[0]!.detail.by, 'rule')
  })

  it('are refused when they can’t mean anything, with the place', async () => {
    const app = await open()
    const bad: [object, RegExp][] = [
      [{ decision: 'allow', when: 'args.' }, /rules\.0\.when/],
      [{ decision: 'allow', when: 'toll == 1' }, /toll/],
      [{ decision: 'allow', when: "tool.matches('(a+)+b')" }, /repeated groups/],
      [{ decision: 'allow', when: '"text"' }, /true or false/],
      [{ decision: 'maybe' }, /allow, ask or deny/],
      [{ decision: 'allow', tool: 'a b' }, /name of a tool/],
      [{ decision: 'allow', whn: 'true' }, /whn/],
      [{ decision: 'allow', when: `${'tool == "x" || '.repeat(200)}false` }, /2000/],
    ]
    for (const [given, message] of bad) {
      const response = await app.request('/api/tool-rules', {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ rules: [given] }),
      })
      assert.equal(response.status, 400)
      assert.match(await response.text(), message)
    }
  })

  it('keep their ids, and are not overwritten by somebody who saw an older list', async () => {
    const app = await open()
    const { rules } = await put(app, [{ decision: 'ask', tool: 'time.now' }, { decision: 'deny', tool: 'x' }])
    const first = await app.request('/api/tool-rules')
    const etag = first.headers.get('etag')!
    const turned = await put(app, [...rules].reverse(), { headers: { 'if-match': etag } })
    assert.deepEqual(turned.rules.map(({ id }) => id), rules.map(({ id }) => id).reverse())
    await put(app, [], { headers: { 'if-match': etag }, status: 412 })
    const guest = await app.json<{ secret: string }>('/api/keys', {
      json: { name: 'g', scopes: ['chat', 'read'], handle: 'guest' },
    })
    assert.deepEqual((await app.json<ToolRules>('/api/tool-rules', { token: guest.secret })).rules, [])
    await put(app, [], { token: guest.secret, status: 403 })
  })

  it('are tried on history before they are saved', async () => {
    const model = scripted([[toolCall('math.evaluate', { expression: '1+1' }), toolCall('time.now')], 'ok'])
    const app = await open({ model })
    await app.ask('h', 'go')
    const test = await app.json<RuleTest>('/api/tool-rules/test', {
      json: { rule: { decision: 'ask', tool: 'math.*', when: "args.expression.contains('+')" } },
    })
    assert.deepEqual([test.calls, test.now, test.after, test.changed], [
      2,
      { allow: 2, ask: 0, deny: 0 },
      { allow: 1, ask: 1, deny: 0 },
      1,
    ])
    assert.deepEqual([test.examples[0]!.tool, test.examples[0]!.now, test.examples[0]!.after], [
      'math.evaluate',
      'allow',
      'ask',
    ])
    const later = { rules: [{ decision: 'deny' }], since: Date.now() / 1000 + 60 }
    assert.equal((await app.json<RuleTest>('/api/tool-rules/test', { json: later })).calls, 0)
    await app.json('/api/tool-rules/test', { json: {}, status: 400 })
    assert.deepEqual((await app.json<ToolRules>('/api/tool-rules')).rules, [])
  })
})

describe('a standing yes', () => {
  it('covers what was shown, is seen, and ends when it is revoked', async () => {
    const app = await open({ model: scripted([[note('A')], 'ok', [note('B')], 'ok', [note('C')]]) })
    await app.json('/api/sessions/a/messages', { json: { text: 'one' } })
    const [event] = (await app.events('a', 0, asked)).filter((one) => one.type === 'approval')
    assert.deepEqual(event!.patterns!.map(({ kind }) => kind), ['tool', 'exact'])
    const { approvals } = await app.json<{ approvals: Approval[] }>('/api/approvals')
    const decided = await app.json<Approval>(`/api/approvals/${approvals[0]!.id}`, {
      json: { decision: 'allow_always', reason: 'my own notes' },
    })
    assert.deepEqual([decided.pattern, decided.via, decided.decision_reason], ['tool', 'rest', 'my own notes'])
    await app.events('a', 0, (one) => one.type === 'turn_finished')
    assert.equal((await app.ask('b', 'two')).state, 'completed')

    const { grants } = await app.json<ToolRules>('/api/tool-rules')
    assert.equal(grants[0]!.text, 'notes.create with any arguments, in every session')
    await app.json(`/api/tool-rules/${grants[0]!.id}`, { method: 'DELETE' })
    await app.json(`/api/tool-rules/${grants[0]!.id}`, { method: 'DELETE', status: 404 })
    await app.json('/api/sessions/c/messages', { json: { text: 'three' } })
    await app.events('c', 0, asked)
    const { items } = await app.json<AuditPage>('/api/audit?limit=10')
    assert.ok(items.some(({ action }) => action === 'tool_grant.revoked'))
    assert.equal(items.find(({ action }) => action === 'approval.allow_always')!.detail.reason, 'my own notes')
  })

  it('for exactly this call asks again about any other', async () => {
    const app = await open({ model: scripted([[note('A')], 'ok', [note('A')], 'ok', [note('B')]]) })
    await app.json('/api/sessions/a/messages', { json: { text: 'one' } })
    await app.events('a', 0, asked)
    const { approvals } = await app.json<{ approvals: Approval[] }>('/api/approvals')
    const path = `/api/approvals/${approvals[0]!.id}`
    await app.json(path, { json: { decision: 'allow_once', pattern: 'exact' }, status: 400 })
    await app.json(path, { json: { decision: 'allow_always', pattern: 'exact' } })
    await app.events('a', 0, (one) => one.type === 'turn_finished')
    assert.equal((await app.ask('b', 'two')).state, 'completed')
    await app.json('/api/sessions/c/messages', { json: { text: 'three' } })
    await app.events('c', 0, asked)
  })

  it('gives way to a rule that denies', async () => {
    const app = await open({ model: scripted([[note('A')], 'ok', [note('B')], 'no']) })
    await app.json('/api/sessions/a/messages', { json: { text: 'one' } })
    await app.events('a', 0, asked)
    const { approvals } = await app.json<{ approvals: Approval[] }>('/api/approvals')
    await app.json(`/api/approvals/${approvals[0]!.id}`, { json: { decision: 'allow_always' } })
    await app.events('a', 0, (one) => one.type === 'turn_finished')
    await put(app, [{ decision: 'deny', tool: 'notes.create' }])
    await app.ask('a', 'two')
    const { items } = await app.json<AuditPage>('/api/audit?action=tool.&limit=1')
    assert.equal(items[0]!.action, 'tool.denied')
  })
})

describe('shell.run', () => {
  it('runs what a rule allows and asks about anything that comes with it', async () => {
    const run = (command: string) => toolCall('shell.run', { command })
    const model = scripted([
      [run('echo one')],
      'ok',
      [run('echo two; touch x')],
      'ok',
      [run('echo two; touch x')],
      'ok',
      [
        run('echo two; touch y'),
      ],
    ])
    const app = await open({ model, flags: { 'tools.shell.enabled': true } })
    await put(app, [{ decision: 'allow', tool: 'shell.run', when: "args.command.startsWith('echo ')" }])
    assert.equal((await app.ask('a', 'one')).state, 'completed')
    assert.match(String(model.requests[1]!.messages.at(-1)!.content), /one/)

    await app.json('/api/sessions/b/messages', { json: { text: 'two' } })
    await app.events('b', 0, asked)
    const { approvals } = await app.json<{ approvals: Approval[] }>('/api/approvals')
    assert.match(approvals[0]!.reason, /^touch x: /)
    assert.deepEqual(approvals[0]!.patterns, [{ kind: 'exact', text: 'shell.run: exactly echo two; touch x' }])
    const path = `/api/approvals/${approvals[0]!.id}`
    await app.json(path, { json: { decision: 'allow_always', pattern: 'tool' }, status: 400 })
    await app.json(path, { json: { decision: 'allow_always' } })
    await app.events('b', 0, (event) => event.type === 'turn_finished')
    assert.equal((await app.ask('c', 'the same')).state, 'completed')
    await app.json('/api/sessions/d/messages', { json: { text: 'another' } })
    await app.events('d', 0, asked)
  })

  it('is judged part by part in a back-test, too, and after it was switched off', async () => {
    const model = scripted([[toolCall('shell.run', { command: 'echo one; echo two >&2; true' })], 'ok'])
    const app = await open({ model })
    await app.json('/api/config/tools', { method: 'PATCH', json: { shell: { enabled: true } } })
    await put(app, [{ decision: 'allow', tool: 'shell.run' }])
    assert.equal((await app.ask('a', 'go')).state, 'completed')
    const test = () =>
      app.json<RuleTest>('/api/tool-rules/test', {
        json: { rules: [{ decision: 'allow', tool: 'shell.run', when: "args.command.startsWith('echo ')" }] },
      })
    const before = await test()
    assert.deepEqual([before.calls, before.after], [1, { allow: 0, ask: 1, deny: 0 }])
    await app.json('/api/config/tools', { method: 'PATCH', json: { shell: { enabled: false } } })
    assert.deepEqual((await test()).after, before.after)
  })
})

describe('the list of tools', () => {
  it('tells what applies to each and how it was used', async () => {
    const app = await open({ model: scripted([[toolCall('math.evaluate', { wrong: 1 })], 'ok']) })
    await app.ask('l', 'go')
    const { rules } = await put(app, [
      { decision: 'ask', tool: 'math.*', when: "principal.kind == 'channel'" },
      { decision: 'deny', tool: 'notes.create' },
    ])
    const { tools } = await app.json<{ tools: ToolInfo[] }>('/api/tools')
    const of = (name: string) => tools.find((tool) => tool.name === name)!
    assert.deepEqual([of('math.evaluate').calls.count, of('math.evaluate').calls.last_state], [1, 'failed'])
    assert.deepEqual(of('math.evaluate').conditional, [rules[0]!.id])
    assert.equal(of('math.evaluate').applies.decision, 'allow')
    assert.deepEqual([of('notes.create').applies.decision, of('notes.create').applies.rule_id], ['deny', rules[1]!.id])
    assert.equal(of('time.now').calls.count, 0)
  })

  it('a tool that is tried goes through the gate', async () => {
    const app = await open()
    const sum = await app.json('/api/tools/math.evaluate/run', { json: { arguments: { expression: '6*7' } } })
    assert.match(String(sum.text), /42/)
    const write = { arguments: { title: 'Tried', content: 'x' } }
    await app.json('/api/tools/notes.create/run', { json: write, status: 409 })
    const { secret } = await app.json<{ secret: string }>('/api/keys', { json: { name: 'k', scopes: ['chat'] } })
    await app.json('/api/tools/notes.create/run', { json: { ...write, confirm: true }, token: secret, status: 403 })
    assert.equal((await app.json('/api/tools/notes.create/run', { json: { ...write, confirm: true } })).ok, true)
    await put(app, [{ decision: 'deny', tool: 'notes.create' }])
    await app.json('/api/tools/notes.create/run', { json: { ...write, confirm: true }, status: 403 })
    await app.json('/api/tools/nope/run', { json: {}, status: 404 })
    const { items } = await app.json<AuditPage>('/api/audit?action=tool.confirmed')
    assert.equal(items.length, 1)
  })
})
