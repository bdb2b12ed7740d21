import type { Generated, Transaction } from 'kysely'
import type { Activation, Disposition } from '../../shared/channels.ts'

/** Rows of `0009-channels.sql`; they stay inside the stores. Times are epoch milliseconds. */
export type ChannelTables = {
  channel_inbox: {
    id: Generated<number>
    channel: string
    event_id: string
    chat_type: string
    chat_id: string
    thread_id: string
    sender_id: string
    sender_name: string
    message_id: string
    reply_to: string | null
    text: string
    media: string | null
    attachment: string | null
    session_id: string
    route: string | null
    state: 'new' | 'context' | 'record' | 'command' | 'turn' | 'done'
    ask_id: string | null
    at: number
  }
  channel_asks: {
    id: string
    channel: string
    chat_type: string
    chat_id: string
    thread_id: string
    sender_id: string
    sender_name: string
    session_id: string
    route: string | null
    reply_to: string
    state: 'open' | 'asked' | 'answered' | 'dropped'
    attempt: number
    turn_id: string | null
    created_at: number
  }
  channel_outbox: {
    ord: Generated<number>
    id: string
    key: string | null
    channel: string
    chat_type: string
    chat_id: string
    thread_id: string
    kind: 'send' | 'edit' | 'media'
    body: string
    state: 'waiting' | 'sent' | 'dead' | 'discarded'
    attempts: number
    error: string | null
    message_id: string | null
    buttons_open: number
    requester_id: string | null
    session_id: string | null
    turn_id: string | null
    created_at: number
    next_at: number
    sent_at: number | null
  }
  channel_people: {
    channel: string
    person_id: string
    name: string
    disposition: Disposition | null
    paired: number
    trusted: number
    messages: number
    last_seen_at: number | null
  }
  channel_groups: {
    channel: string
    chat_id: string
    allowed: number | null
    activation: Activation | null
    disposition: Disposition | null
    messages: number
    last_seen_at: number | null
  }
  channel_pairings: {
    id: string
    channel: string
    code: string
    person_id: string
    person_name: string
    chat_id: string
    thread_id: string
    state: 'pending' | 'approved' | 'rejected'
    decided_by: string | null
    created_at: number
    expires_at: number
  }
  channel_routes: { position: number; rule: string }
}

export type Tx = Transaction<ChannelTables>

/** Which chat; the thread is empty where there are none. */
export type Chat = { channel: string; chat_type: string; chat_id: string; thread_id: string }
