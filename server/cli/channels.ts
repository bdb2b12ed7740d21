import { setTimeout as pause } from 'node:timers/promises'
import type {
  Channel,
  ChannelAuth,
  ChannelGroup,
  ChannelPerson,
  OutboxEntry,
  RouteTestResult,
} from '../../shared/channels.ts'
import { cleanLine, visible } from './clean.ts'
import { type Command, type Context, text } from './command.ts'
import { usage } from './exit-codes.ts'
import { shorten, when } from './output.ts'

const LOOK_MS = 1000
const LONGEST_ID = 48

const pathOf = (name = ''): string => `/api/channels/${encodeURIComponent(name)}`

/** `gatehouse channels …` and `gatehouse outbox …`. */
export const channelCommands: Command[] = [
  {
    name: 'channels list',
    alias: 'channels',
    summary: 'Chat platforms, and how they stand',
    run: async ({ client, out }) => {
      const answer = await client.get<{ channels: Channel[] }>('/api/channels')
      out.show(answer, () => {
        const rows = answer.channels.map((channel) => [
          channel.name,
          stateOf(channel),
          channel.identity?.name,
          channel.open_to,
          `${channel.messages.in} / ${channel.messages.out}`,
          String(channel.outbox.waiting),
          String(channel.outbox.dead),
          shorten(channel.problem ?? channel.last_error?.message ?? '', 60),
        ])
        out.table(
          ['NAME', 'STATE', 'AS', 'OPEN TO', 'IN / OUT', 'WAITING', 'DEAD', 'LAST ERROR'],
          rows,
          'No channels. Put one under "channels" in gatehouse.yaml, or see: gatehouse plugins',
        )
      })
    },
  },
  {
    name: 'channels auth',
    args: 'NAME',
    summary: 'Show the QR or the code that a platform wants confirmed, until it is',
    run: async (context) => {
      const { args: [name], client, out } = context
      let shown = ''
      for (;;) {
        const channel = await client.get<Channel>(pathOf(name))
        const { auth } = channel
        if (out.json) return out.show(auth, () => {})
        if (!auth) return out.print(shown === '' ? 'Nothing waits to be confirmed.' : 'Confirmed, or no longer valid.')
        const what = auth.method === 'qr_code' ? auth.qr_data : auth.code
        if (what !== shown) await draw(auth, context)
        shown = what
        await pause(LOOK_MS)
      }
    },
  },
  {
    name: 'channels send',
    args: 'NAME CHAT TEXT...',
    summary: 'Send a message into a chat',
    options: { thread: { value: 'ID', summary: 'Into this thread of the chat' } },
    run: async (context) => {
      const { args: [name, chat_id, ...words], client, out } = context
      const thread_id = text(context, 'thread')
      const body = { chat_id, text: words.join(' '), ...(thread_id === undefined ? {} : { thread_id }) }
      const answer = await client.send<{ entries: OutboxEntry[] }>('POST', `${pathOf(name)}/messages`, body)
      out.show(answer, () => answer.entries.forEach(({ id }) => out.print(cleanLine(id))))
    },
  },
  {
    name: 'channels people',
    args: '[NAME]',
    summary: 'Who wrote, and what becomes of their words',
    run: async ({ args: [name], client, out }) => {
      const query = name ? `?channel=${encodeURIComponent(name)}` : ''
      const answer = await client.get<{ people: ChannelPerson[]; groups: ChannelGroup[] }>(
        `/api/channel-people${query}`,
      )
      out.show(answer, () => {
        const people = answer.people.map((row) => [
          row.channel,
          'person',
          shorten(visible(row.person_id), LONGEST_ID),
          row.name,
          row.disposition ?? 'as set',
          [row.paired ? 'paired' : row.in_effect.may_write && 'may write', row.in_effect.trusted && 'trusted']
            .filter(Boolean).join(', '),
          when(row.last_seen_at),
        ])
        const groups = answer.groups.map((row) => [
          row.channel,
          'group',
          shorten(visible(row.chat_id), LONGEST_ID),
          '',
          row.disposition ?? 'as set',
          row.allowed === null ? '' : row.allowed ? 'allowed' : 'refused',
          when(row.last_seen_at),
        ])
        const headings = ['CHANNEL', 'KIND', 'ID', 'NAME', 'DISPOSITION', 'STANDING', 'LAST SEEN']
        out.table(headings, [...people, ...groups], 'Nobody wrote yet.')
      })
    },
  },
  {
    name: 'channels decide',
    args: 'NAME PERSON [DISPOSITION]',
    summary: 'What becomes of a person’s words: allow, passive, silent, block, or "default"',
    options: {
      trust: { summary: 'May answer what the agent asks, and let others in' },
      distrust: { summary: 'May not any more' },
      unpair: { summary: 'Take a pairing back' },
    },
    run: async ({ args: [name = '', person = '', disposition], flags, client, out }) => {
      if (flags.trust && flags.distrust) throw usage('Take one of --trust and --distrust')
      const body = {
        ...(disposition === undefined ? {} : { disposition: disposition === 'default' ? null : disposition }),
        ...(flags.trust || flags.distrust ? { trusted: flags.trust === true } : {}),
        ...(flags.unpair ? { paired: false } : {}),
      }
      if (Object.keys(body).length === 0) throw usage('Say a disposition, --trust, --distrust or --unpair')
      const path = `/api/channel-people/${encodeURIComponent(name)}/${encodeURIComponent(person)}`
      out.show(await client.send('PATCH', path, body), () => out.print('Done'))
    },
  },
  {
    name: 'channels where',
    args: 'NAME PERSON [CHAT]',
    summary: 'Where would a message go? Nothing happens',
    options: {
      type: { value: 'TYPE', summary: 'dm, group or channel (dm, and group when a chat is named)' },
      thread: { value: 'ID', summary: 'In this thread' },
      mention: { summary: 'It mentions the agent' },
    },
    run: async (context) => {
      const { args: [channel, sender_id, chat], flags, client, out } = context
      const thread_id = text(context, 'thread')
      const answer = await client.send<RouteTestResult>('POST', '/api/channel-routes/test', {
        channel,
        sender_id,
        chat_id: chat ?? sender_id,
        chat_type: text(context, 'type') ?? (chat === undefined ? 'dm' : 'group'),
        mentions_bot: flags.mention === true,
        ...(thread_id === undefined ? {} : { thread_id }),
      })
      out.show(answer, () => {
        out.print(`${answer.action}: ${cleanLine(answer.reason)}`)
        if (answer.session_id) out.print(`session  ${cleanLine(answer.session_id)}`)
        if (answer.model) out.print(`model    ${cleanLine(answer.model)}`)
        out.print(`rule     ${answer.rule === null ? 'none' : answer.rule + 1}`)
      })
    },
  },
  {
    name: 'outbox list',
    alias: 'outbox',
    summary: 'Messages that wait to be sent, or could not be',
    options: { state: { value: 'STATE', summary: 'open, dead, sent, discarded or all (all that is not sent)' } },
    run: async (context) => {
      const { client, out } = context
      const state = text(context, 'state')
      const states = state === undefined ? ['open', 'dead'] : [state]
      const entries: OutboxEntry[] = []
      for (const one of states) {
        entries.push(
          ...(await client.get<{ entries: OutboxEntry[] }>(`/api/outbox?state=${encodeURIComponent(one)}`)).entries,
        )
      }
      out.show({ entries }, () => {
        const rows = entries.map((entry) => [
          entry.id,
          entry.state,
          entry.channel,
          shorten(visible(entry.chat_id), LONGEST_ID),
          shorten(entry.text || (entry.attachment?.filename ?? ''), 40),
          String(entry.attempts),
          shorten(entry.error ?? '', 50),
        ])
        out.table(['ID', 'STATE', 'CHANNEL', 'CHAT', 'TEXT', 'TRIES', 'ERROR'], rows, 'Nothing waits.')
      })
    },
  },
  {
    name: 'outbox send',
    args: 'ID',
    summary: 'Send a dead letter again',
    run: async ({ args: [id = ''], client, out }) => {
      const entry = await client.send('POST', `/api/outbox/${encodeURIComponent(id)}/send`, {})
      out.show(entry, () => out.print('It will be sent'))
    },
  },
  {
    name: 'outbox discard',
    args: 'ID',
    summary: 'Give up on a message',
    run: async ({ args: [id = ''], client, out }) => {
      const entry = await client.send('DELETE', `/api/outbox/${encodeURIComponent(id)}`)
      out.show(entry, () => out.print('Discarded'))
    },
  },
]

const stateOf = ({ state, connected }: Channel): string =>
  state === 'ready' ? connected ? 'connected' : 'not connected' : state

async function draw(auth: ChannelAuth, { out }: Context): Promise<void> {
  if (auth.method === 'pair_code') out.print(`Enter this code on the other device: ${cleanLine(auth.code)}`)
  else out.print((await import('uqr')).renderUnicodeCompact(auth.qr_data))
  out.note(`Valid until ${when(auth.expires_at)}.`)
}
