import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Plugin } from '../../../../shared/plugins.ts'
import { fits, isBundled, isInstalled, lookOf, mendOf, sentence, sourceOf, type Standing, troubleOf } from './state.ts'
import { limitsOf, permitsOf } from './surface-words.ts'

const standing = (changes: Partial<Standing>): Standing => ({
  enabled: true,
  state: 'ready',
  accepted: true,
  in_configuration: false,
  on_demand: false,
  wider: [],
  problem: null,
  configured: true,
  status: null,
  connected: null,
  ...changes,
})

describe('the state of a plugin in words', () => {
  it('what waits for the owner is told before whether it is switched on', () => {
    assert.equal(lookOf(standing({})).label, 'Ready')
    assert.equal(lookOf(standing({ enabled: false, state: 'stopped' })).label, 'Switched off')
    assert.equal(lookOf(standing({ accepted: false, state: 'stopped' })).label, 'Waits for your yes')
    const wider = standing({ enabled: false, state: 'stopped', accepted: false, wider: ['reaches evil.example'] })
    assert.equal(lookOf(wider).label, 'Wants more')
  })

  it('one that is started on demand sleeps, and that is no trouble', () => {
    const asleep = standing({ state: 'stopped', on_demand: true })
    assert.deepEqual(lookOf(asleep), { label: 'Sleeps until it is called', tone: 'success' })
    assert.equal(troubleOf(asleep), undefined)
    assert.equal(lookOf({ ...asleep, problem: 'gone' }).label, 'Does not run')
  })

  it('one that is switched off after a quarantine is only switched off', () => {
    const off = standing({ enabled: false, state: 'quarantined', problem: 'ended with code 1' })
    assert.equal(lookOf(off).label, 'Switched off')
    assert.equal(troubleOf(off), undefined)
    assert.equal(mendOf(off), undefined)
  })

  it('what keeps it from its platform is told, and forgotten once it is reached', () => {
    const away = standing({ status: { connected: false, detail: 'Telegram can’t be reached' } })
    assert.equal(troubleOf(away), 'Telegram can’t be reached')
    assert.equal(troubleOf({ ...away, status: { connected: true, detail: 'Waits for a call' } }), undefined)
    assert.equal(troubleOf({ ...away, enabled: false, state: 'stopped' }), undefined)
  })

  it('one whose files are refused can not be used, on or off', () => {
    const broken = standing({ enabled: false, state: 'stopped', problem: 'plugin.json is no JSON' })
    assert.equal(lookOf(broken).label, 'Can’t be used')
    assert.equal(troubleOf(broken), 'plugin.json is no JSON')
  })

  it('a message becomes a sentence, but no name of a file is changed', () => {
    assert.equal(sentence('crashed 3 times'), 'Crashed 3 times')
    assert.equal(sentence('plugin.json is no JSON'), 'plugin.json is no JSON')
  })

  it('a bot that was named and lacks its token is not set up, rather than switched off', () => {
    const off = standing({ enabled: false, state: 'stopped', configured: false })
    assert.equal(lookOf(off).label, 'Switched off')
    assert.equal(lookOf({ ...off, in_configuration: true }).label, 'Not set up')
  })

  it('a platform that is away is no failure of the program', () => {
    assert.equal(lookOf(standing({ status: { connected: false } })).label, 'Not connected')
  })

  it('every state that needs somebody says what to do', () => {
    for (
      const changes of [
        { state: 'quarantined', problem: 'x' },
        { state: 'backoff', problem: 'x' },
        { state: 'failed', problem: 'x' },
        { state: 'stopped', configured: false, problem: 'x' },
        { state: 'stopped', accepted: false, problem: 'x' },
      ] as const
    ) {
      assert.ok(mendOf(standing(changes)), JSON.stringify(changes))
      assert.ok(fits(standing(changes), 'review'))
    }
  })

  it('a second instance of a bundled plugin is no plugin of its own to choose from', () => {
    const bundled = { origin: 'bundled', enabled: false, name: 'telegram', plugin: 'telegram' } as Plugin
    assert.deepEqual([isInstalled(bundled), isBundled(bundled)], [false, true])
    const second = { ...bundled, name: 'work', enabled: true }
    assert.deepEqual([isInstalled(second), isBundled(second)], [true, false])
  })
})

describe('where a plugin is installed from again', () => {
  it('a package in its newest version, a folder and an archive as they were named', () => {
    assert.deepEqual(sourceOf('@example/plugin@1.2.3'), { kind: 'npm', source: '@example/plugin' })
    assert.deepEqual(sourceOf('plugin@2.0.0-rc.1'), { kind: 'npm', source: 'plugin' })
    assert.deepEqual(sourceOf('/home/me/plugin'), { kind: 'folder', source: '/home/me/plugin' })
    assert.equal(sourceOf('/tmp/plugin-1.0.0.tgz').kind, 'archive')
    assert.equal(sourceOf('https://example.org/plugin.tgz').kind, 'archive')
  })
})

describe('what a plugin may do in words', () => {
  const surface = {
    start: 'main.ts',
    restricted: true,
    channels: ['telegram'],
    capabilities: [],
    tools: [],
    routes: [],
    hooks: [],
    secrets: ['token'],
    permissions: { net: ['api.telegram.org'], env: [], read: [], write: [], run: [], sys: [] },
  }
  const texts = (plugin: Parameters<typeof permitsOf>[0]) => permitsOf(plugin).map(({ text }) => text)

  it('a restricted one may do what it may, and nothing else', () => {
    assert.deepEqual(texts({ name: 'bot', surface, origin: 'home' }), [
      'May reach api.telegram.org',
      'May read nothing but its own files',
      'May write nothing but its own data',
      'May start no programs',
      'Is given the secret token',
      'Carries chats of telegram',
    ])
  })

  it('of one that nothing restricts, no limit is promised', () => {
    const said = texts({ name: 'bot', surface: { ...surface, restricted: false }, origin: 'home' })
    assert.equal(said[0], 'Says that it may reach api.telegram.org')
    assert.ok(!said.some((text) => text.startsWith('May ')))
    assert.match(limitsOf({ surface, restricted: false, runtime: 'node', origin: 'home' }), /keeps no limits/)
  })

  it('a bare command says nothing of what it reaches', () => {
    assert.deepEqual(
      texts({ name: 'bot', surface: { ...surface, restricted: false, secrets: [] }, origin: 'config' }),
      [
        'Carries chats of telegram',
      ],
    )
  })

  it('an address that anybody may send to is worth a second look, and what it hears of is told', () => {
    const route = { path: 'hook', match: 'exact' as const, methods: ['POST' as const] }
    const routes = [{ ...route, auth: 'plugin' as const }, { ...route, path: 'own', auth: 'gateway' as const }]
    const permits = permitsOf({
      name: 'bot',
      surface: { ...surface, routes, hooks: ['turn.finished', 'tool.before'] },
      origin: 'home',
    })
    assert.deepEqual(permits.filter(({ wide }) => wide).map(({ text }) => text), [
      'Receives requests from anybody on the internet at /hooks/plugins/bot/hook (POST)',
    ])
    assert.ok(permits.some(({ text }) => text.startsWith('Answers your own keys at /hooks/plugins/bot/own')))
    assert.ok(permits.some(({ text }) => text === 'Hears of each answer of the agent, with its text'))
    assert.ok(permits.some(({ text }) => /may forbid it/.test(text)))
  })

  it('any address, and programs, are worth a second look', () => {
    const permissions = { ...surface.permissions, net: ['*'], run: ['ffmpeg'] }
    const wide = permitsOf({ name: 'bot', surface: { ...surface, permissions }, origin: 'home' }).filter((permit) =>
      permit.wide
    )
    assert.deepEqual(wide.map(({ topic }) => topic), ['network', 'programs'])
    const limits = limitsOf({ surface: { ...surface, permissions }, restricted: true, runtime: 'deno', origin: 'home' })
    assert.match(limits, /programs that it starts are not kept/)
  })
})
