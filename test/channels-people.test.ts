import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'node:test'
import type { Channel, ChannelGroup, ChannelPerson, OutboxEntry, Pairing } from '../shared/channels.ts'
import * as v from 'valibot'
import { COMPONENTS } from '../server/openapi/schemas.ts'
import { GatewayError } from '../server/plugins/gateway.ts'
import type { TestApp } from './support/app.ts'
import { begin, closeAll } from './support/channel-app.ts'
import { until } from './support/chat-platform.ts'

afterEach(closeAll)

/** A real answer is what the description of the API says. */
const fits = (name: keyof typeof COMPONENTS, value: unknown): void =>
  assert.deepEqual(v.parse(COMPONENTS[name] as v.GenericSchema, value), value, name)

type Page = {
  people: ChannelPerson[]
  groups: ChannelGroup[]
  pairings: Pairing[]
  entries: OutboxEntry[]
  nextCursor: string | null
}

/** All pages of a list, and how many there were. */
async function all(app: TestApp, path: string, limit: number): Promise<Page[]> {
  const pages: Page[] = []
  for (let cursor = ''; pages.length < 20;) {
    const page = await app.json<Page>(`${path}${path.includes('?') ? '&' : '?'}limit=${limit}${cursor}`)
    pages.push(page)
    if (page.nextCursor === null) return pages
    cursor = `&cursor=${encodeURIComponent(page.nextCursor)}`
  }
  throw new Error(`${path} has no end`)
}

describe('people and groups', () => {
  const channels = { telegram: { allowed_groups: ['*'], burst_ms: 0 } }

  it('are listed page by page, nobody twice and nobody left out, who was seen last first', async () => {
    const { app, chat } = await begin({ channels })
    for (let i = 0; i < 7; i++) {
      await chat.say({
        text: 'hi',
        from: `p${i}`,
        name: i < 2 ? 'Zoë 100%' : `Person ${i}`,
        chat: `-${i % 3}`,
        type: 'group',
      })
    }
    await app.json('/api/channel-people/telegram/never', { method: 'PATCH', json: { disposition: 'block' } })
    const pages = await all(app, '/api/channel-people', 3)
    assert.deepEqual(pages.map(({ people }) => people.length), [3, 3, 2])
    const ids = pages.flatMap(({ people }) => people.map(({ person_id }) => person_id))
    assert.deepEqual(ids.toSorted(), ['never', 'p0', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6'])
    assert.equal(ids.at(-1), 'never')
    const seen = pages.flatMap(({ people }) => people.map(({ last_seen_at }) => last_seen_at ?? 0))
    assert.deepEqual(seen, seen.toSorted((a, b) => b - a))
    assert.equal(pages[0]!.groups.length, 3)
    fits('ChannelPerson', pages[0]!.people[0])
    fits('ChannelGroup', pages[0]!.groups[0])
    fits('Channel', await app.json('/api/channels/telegram'))
    const groups = await all(app, '/api/channel-groups?channel=telegram', 2)
    assert.deepEqual(groups.flatMap(({ groups }) => groups.map(({ chat_id }) => chat_id)).toSorted(), [
      '-0',
      '-1',
      '-2',
    ])
    assert.deepEqual((await app.json<Page>('/api/channel-groups?channel=other')).groups, [])
  })

  it('are found by name or id, and no sign is a wildcard', async () => {
    const { app, chat } = await begin({ channels })
    for (const [from, name] of [['a_1', 'Ada'], ['ab1', 'Bob 100%'], ['c', 'Carla']]) {
      await chat.say({ text: 'hi', from: from!, name: name!, chat: '-1', type: 'group' })
    }
    const find = async (q: string) =>
      (await app.json<Page>(`/api/channel-people?q=${encodeURIComponent(q)}`)).people.map(({ name }) => name).toSorted()
    assert.deepEqual(await find('ADA'), ['Ada'])
    assert.deepEqual(await find('a_'), ['Ada'])
    assert.deepEqual(await find('%'), ['Bob 100%'])
    assert.deepEqual(await find(''), ['Ada', 'Bob 100%', 'Carla'])
    for (const query of ['cursor=x', 'cursor=WzFd', 'limit=0', 'limit=201']) {
      await app.json(`/api/channel-people?${query}`, { status: 400 })
    }
  })
})

describe('a decision about somebody', () => {
  const decide = (app: TestApp, path: string) =>
    app.request(`/api/channel-${path}`, {
      method: 'PATCH',
      json: { disposition: 'block' },
    })

  it('needs a channel that is there and an id that a platform could have', async () => {
    const { app } = await begin({ channels: { telegram: {}, off: { enabled: false } } })
    for (const kind of ['people', 'groups']) {
      assert.equal((await decide(app, `${kind}/off/42`)).status, 200)
      assert.equal((await decide(app, `${kind}/nobody/42`)).status, 404)
      for (const id of ['7'.repeat(5000), 'a%00b', 'a%0Ab']) {
        const refused = await decide(app, `${kind}/telegram/${id}`)
        assert.equal(refused.status, 400)
        assert.match(await refused.text(), /"pointer":"\/id"/)
      }
    }
    const { people, groups } = await app.json<Page>('/api/channel-people')
    assert.deepEqual([people, groups].map((rows) => rows.map(({ channel }) => channel)), [['off'], ['off']])
  })

  it('is told with what holds by the settings and it together', async () => {
    const telegram = { allowed_users: ['*', '7'], dispositions: { '8': 'block' } }
    const { app } = await begin({ channels: { telegram, closed: {} } })
    const holds = async (path: string, json: object = {}) => {
      const { in_effect } = await app.json<ChannelPerson>(`/api/channel-people/${path}`, { method: 'PATCH', json })
      return [in_effect.may_write, in_effect.trusted, in_effect.action]
    }
    assert.deepEqual(await holds('telegram/42'), [true, false, 'answer'])
    assert.deepEqual(await holds('telegram/42', { disposition: 'passive' }), [true, false, 'context'])
    assert.deepEqual(await holds('telegram/42', { trusted: true }), [true, true, 'context'])
    assert.deepEqual(await holds('telegram/7'), [true, true, 'answer'])
    assert.deepEqual(await holds('telegram/8'), [true, false, 'drop'])
    assert.deepEqual(await holds('closed/42', { trusted: true }), [false, false, 'pair'])
    assert.deepEqual(await holds('closed/42', { paired: true }), [true, true, 'answer'])
  })

  it('can still be taken back when their channel is gone', async () => {
    const { app } = await begin({ channels: { off: { enabled: false } } })
    assert.equal((await decide(app, 'people/off/42')).status, 200)
    await app.json('/api/config/channels', { method: 'PATCH', json: {} })
    await app.json('/api/channel-people/off/42', { method: 'PATCH', json: { disposition: null } })
    assert.equal((await decide(app, 'people/off/43')).status, 404)
  })
})

describe('who a channel is open to', () => {
  const openTo = async (telegram: object) => {
    const { app } = await begin({ channels: { telegram } })
    for (const id of ['42', '7']) {
      await app.json(`/api/channel-people/telegram/${id}`, { method: 'PATCH', json: { paired: true } })
    }
    return (await app.json<Channel>('/api/channels/telegram')).open_to
  }

  it('is told in words: nobody twice, and a pattern is no person', async () => {
    assert.equal(await openTo({ allowed_users: ['42', 'guest*', 'guest*'] }), '2 people and everybody matching guest*')
    assert.equal(
      await openTo({ allowed_users: ['*x', 'a*', '9'], allowed_groups: ['-1', '-2*'] }),
      '4 people, everybody matching a*, 1 group and every group matching -2*',
    )
    assert.equal(await openTo({ allowed_users: ['*', '42'] }), 'everybody')
    assert.equal(await openTo({ allowed_groups: ['*', '-1'] }), '2 people and every group')
  })
})

describe('pairings and the outbox', () => {
  // A code of a pairing is random and stands in the text: what is looked for must not be able to come up in it.
  it('are listed page by page, and found by words', async () => {
    const { app, chat } = await begin({ channels: { telegram: { burst_ms: 0 } } })
    chat.before(() => {
      throw new GatewayError('chat_not_found', 'gone')
    })
    for (let i = 0; i < 5; i++) await chat.say({ text: 'let me in', from: `stranger-${i}`, name: `Stranger ${i}` })
    const pages = await all(app, '/api/pairings', 2)
    assert.deepEqual(pages.map(({ pairings }) => pairings.length), [2, 2, 1])
    const codes = pages.flatMap(({ pairings }) => pairings.map(({ code }) => code))
    assert.equal(new Set(codes).size, 5)
    const found = await app.json<Page>(`/api/pairings?q=${codes[3]!.toLowerCase()}`)
    assert.deepEqual(found.pairings.map(({ code }) => code), [codes[3]])
    assert.deepEqual(
      (await app.json<Page>('/api/pairings?q=stranger%203')).pairings.map(({ person_id }) => person_id),
      ['stranger-3'],
    )
    await until(
      () => app.json<Page>('/api/outbox?state=dead'),
      ({ entries }) => entries.length === 5,
    )
    const dead = await all(app, '/api/outbox?state=dead', 2)
    fits('OutboxEntry', dead[0]!.entries[0])
    fits('Pairing', pages[0]!.pairings[0])
    assert.deepEqual(dead.map(({ entries }) => entries.length), [2, 2, 1])
    assert.equal((await app.json<Page>(`/api/outbox?state=dead&q=${codes[0]}`)).entries.length, 1)
    assert.equal((await app.json<Page>('/api/outbox?state=dead&q=stranger-4')).entries.length, 1)
    assert.equal((await app.json<Page>('/api/outbox?state=dead&q=reply_to')).entries.length, 0)
  })
})
