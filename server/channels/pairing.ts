import { randomInt } from 'node:crypto'
import { ulid } from 'ulid'
import type { Pairing, PairingQuery } from '../../shared/channels.ts'
import { type Caller, demand } from '../auth/principal.ts'
import { AppError, notFound } from '../errors.ts'
import type { ChannelDeps } from './deps.ts'
import type { OutboxStore } from './outbox-store.ts'
import type { Outbox } from './outbox.ts'
import { pageOf } from './paging.ts'
import type { PairingRow, PeopleStore } from './people-store.ts'
import type { Chat, Tx } from './tables.ts'

const VALID_MS = 15 * 60_000
const HOUR_MS = 3600_000
/** New codes for one person in an hour. */
const PER_HOUR = 3
/** Codes that may wait in one channel, so that a crowd of strangers fills no list. */
const PER_CHANNEL = 20
/** Without what is easily taken for something else. */
const SIGNS = '23456789ABCDEFGHJKMNPQRSTUVWXYZ'

export type Pairings = ReturnType<typeof createPairings>

/** Strangers ask to be let in with a code; the owner, or somebody trusted, says yes. */
export function createPairings(
  deps: Pick<ChannelDeps, 'bus' | 'audit' | 'log' | 'now'> & {
    store: PeopleStore
    outboxStore: OutboxStore
    outbox: Outbox
    /** Names of the channels that are switched on. */
    channels: () => string[]
  },
) {
  const { store, outboxStore, outbox, bus, log, now, channels } = deps

  const tell = (id: string, action: 'created' | 'updated'): void =>
    bus.publish({ type: 'resource', resource: 'pairing', action, id, handle: 'owner' })

  async function decide(
    caller: Caller,
    pairing: PairingRow,
    state: 'approved' | 'rejected',
    trusted: boolean,
  ): Promise<Pairing> {
    if (pairing.state === 'pending' && !channels().includes(pairing.channel)) {
      throw new AppError('conflict', `${pairing.channel} is switched off; switch it on to decide who may write there`)
    }
    const welcome = (tx: Tx) =>
      outboxStore.add(tx, {
        ...chatOf(pairing),
        kind: 'send',
        key: `pairing:${pairing.id}:approved`,
        body: { text: 'You are let in. What can I do for you? /help lists what I understand.' },
      })
    if (!await store.decidePairing(pairing, state, { by: caller.name, trusted, now: now(), welcome })) {
      const current = await store.pairing(pairing.id)
      throw new AppError(
        'conflict',
        current?.state === 'pending'
          ? 'This code is no longer valid; the person gets a new one by writing again'
          : `This was already ${current?.state ?? 'decided'}`,
      )
    }
    outbox.kick(pairing.channel, pairing.chat_id)
    await deps.audit({
      caller,
      action: `pairing.${state}`,
      target: pairing.id,
      detail: { channel: pairing.channel, person: pairing.person_id, trusted: state === 'approved' && trusted },
    })
    tell(pairing.id, 'updated')
    return toPairing((await store.pairing(pairing.id))!, now())
  }

  return {
    /** Gives a stranger a code, once in a while; says nothing otherwise. */
    async knock(chat: Chat, person: { id: string; name: string }): Promise<void> {
      const at = now()
      const before = await store.pairingsOf(chat.channel, person.id, at - HOUR_MS)
      if (before.length >= PER_HOUR || before.some((row) => row.state === 'pending' && row.expires_at > at)) return
      const waiting = await store.pending(at)
      if (waiting.filter(({ channel }) => channel === chat.channel).length >= PER_CHANNEL) {
        log.warn('pairing.full', 'A stranger got no code, for too many wait already', { channel: chat.channel })
        return
      }
      const code = newCode()
      const id = ulid()
      const row = {
        id,
        channel: chat.channel,
        code,
        person_id: person.id,
        person_name: person.name,
        chat_id: chat.chat_id,
        thread_id: chat.thread_id,
        state: 'pending' as const,
        decided_by: null,
        created_at: at,
        expires_at: at + VALID_MS,
      }
      const text = 'I answer only people whom my owner let in. To ask for that, give them this code; it is valid for ' +
        `15 minutes:\n\n${code}`
      await store.addPairing(
        row,
        (tx) => outboxStore.add(tx, { ...chat, kind: 'send', key: `pairing:${id}`, body: { text } }),
      )
      outbox.kick(chat.channel, chat.chat_id)
      tell(id, 'created')
    },

    /** A channel was switched on or off: what it asks is in the list again, or is not any more. */
    async switched(channel: string): Promise<void> {
      for (const row of await store.pending(now())) if (row.channel === channel) tell(row.id, 'updated')
    },

    /** Newest first; of a channel that is switched off nobody waits. */
    async list(caller: Caller, query: PairingQuery): Promise<{ pairings: Pairing[]; nextCursor: string | null }> {
      demand(caller, 'admin')
      const at = now()
      const rows = await store.pairings(query, at, channels())
      const of = { entry: (row: PairingRow) => toPairing(row, at), cursor: ({ id }: PairingRow) => id }
      const { entries: pairings, nextCursor } = pageOf(rows, query.limit, of)
      return { pairings, nextCursor }
    },

    /** `which` is the id, or the code as the person tells it. */
    async decide(caller: Caller, which: string, state: 'approved' | 'rejected', trusted = false): Promise<Pairing> {
      demand(caller, 'admin')
      return await decide(caller, await find(which), state, trusted)
    },

    /** A yes from a chat whose writer is trusted; the new person is not. */
    async approveFromChat(caller: Caller, code: string): Promise<Pairing> {
      return await decide(caller, await find(code), 'approved', false)
    },
  }

  async function find(which: string): Promise<PairingRow> {
    const code = plain(which)
    const row = (await store.pending(now())).find((pairing) => plain(pairing.code) === code) ??
      await store.pairing(which)
    if (!row) throw notFound('pairing', which.slice(0, 40))
    return row
  }
}

const plain = (code: string): string => code.toUpperCase().replace(/[\s-]/g, '')

function newCode(): string {
  const signs = Array.from({ length: 8 }, () => SIGNS[randomInt(SIGNS.length)]).join('')
  return `${signs.slice(0, 4)}-${signs.slice(4)}`
}

const chatOf = ({ channel, chat_id, thread_id }: PairingRow): Chat => ({ channel, chat_type: 'dm', chat_id, thread_id })

const toPairing = ({ thread_id: _, ...row }: PairingRow, now: number): Pairing => ({
  ...row,
  state: row.state === 'pending' && row.expires_at <= now ? 'expired' : row.state,
  created_at: row.created_at / 1000,
  expires_at: row.expires_at / 1000,
})
