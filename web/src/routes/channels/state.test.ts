import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Channel } from '../../../../shared/channels.ts'
import type { Plugin } from '../../../../shared/plugins.ts'
import { addressIn, idleOf, lookOf, mendOf, nameProblem, nextName, platformsOf } from './state.ts'

const channel = (part: Partial<Channel>): Channel =>
  ({ state: 'ready', connected: true, auth: null, ...part }) as Channel

const carrier = (name: string, part: Partial<Plugin> = {}): Plugin =>
  ({ name, plugin: name, origin: 'bundled', enabled: false, in_configuration: false, ...part }) as Plugin

describe('the state of a channel', () => {
  it('a plugin that runs is only called connected when it reaches its platform', () => {
    assert.equal(lookOf(channel({})).label, 'Connected')
    assert.equal(lookOf(channel({ connected: false })).label, 'Not connected')
  })

  it('a code that waits to be confirmed comes before everything else', () => {
    const auth = { method: 'pair_code', code: 'AB', expires_at: 1 } as const
    assert.equal(lookOf(channel({ connected: false, auth })).label, 'Waits for you')
  })
})

describe('what is a channel, and what only could become one', () => {
  const carriers = [
    carrier('discord'),
    carrier('own', { origin: 'config', enabled: true, in_configuration: true }),
    carrier('telegram', { enabled: true }),
    carrier('telegram-work', { plugin: 'telegram', in_configuration: true }),
  ]

  it('one that is switched off stays a channel as long as it is named', () => {
    const idle = idleOf(carriers, [channel({ name: 'own' }), channel({ name: 'telegram' })])
    assert.deepEqual(idle.map(({ name }) => name), ['telegram-work'])
  })

  it('a platform is offered once, with its bots, and after those that have none', () => {
    const platforms = platformsOf(carriers.toReversed()).map(({ plugin, bots }) => [plugin.name, bots])
    assert.deepEqual(platforms, [['discord', []], ['telegram', ['telegram-work', 'telegram']]])
  })

  it('a new name is free, and says when it is not', () => {
    assert.equal(nextName('telegram', ['telegram', 'telegram-2']), 'telegram-3')
    assert.equal(nameProblem('telegram-work', ['telegram']), undefined)
    assert.match(nameProblem('telegram', ['telegram'])!, /taken/)
    assert.match(nameProblem('a bot', [])!, /letters/)
  })
})

describe('what to do about a failure', () => {
  it('a refused token is told from a machine that is not online', () => {
    assert.match(mendOf('401 Unauthorized')!, /token/)
    assert.match(mendOf('chat_not_found: Forbidden: bot was blocked by the user')!, /write to it first/)
    assert.match(mendOf('getaddrinfo ENOTFOUND api.example')!, /online/)
  })

  it('nothing is advised where nothing is known', () => {
    assert.equal(mendOf('the moon is full'), undefined)
    assert.equal(mendOf(null), undefined)
  })
})

it('an address to be entered elsewhere is found in what a plugin says', () => {
  assert.equal(addressIn('Enter https://a.example/hooks/x, then wait'), 'https://a.example/hooks/x')
  assert.equal(addressIn('Waits for the first message'), undefined)
})
