import { ulid } from 'ulid'
import type { ChannelSettings } from '../../shared/channels.ts'
import type { CallbackQuery } from '../../shared/gateway-protocol.ts'
import { AppError } from '../errors.ts'
import type { Gateway } from '../plugins/gateway.ts'
import { judge, mayApprove } from './access.ts'
import { labelOf } from './ask-text.ts'
import { channelCaller, type ChannelDeps } from './deps.ts'
import type { InboxStore, NewInbound } from './inbox-store.ts'
import type { Outbox } from './outbox.ts'
import type { OutboxStore, OutRow } from './outbox-store.ts'
import type { PeopleStore } from './people-store.ts'
import { ASK_USER, choicesOf, type Questions } from './questions.ts'
import { chatKind } from './session-key.ts'
import { beginning } from './split.ts'

const LOOK_MS = 20
const PATIENCE_MS = 1000
const DECISIONS = new Set(['allow_once', 'allow_session', 'allow_always', 'deny'])
type Decision = 'allow_once' | 'allow_session' | 'allow_always' | 'deny'
const TOASTS: Record<Decision, string> = {
  allow_once: 'Allowed',
  allow_session: 'Allowed in this conversation',
  allow_always: 'Allowed from now on',
  deny: 'Declined',
}

/** Presses of buttons below our messages: answered at once, done once, and only for those who may. */
export function createButtons(
  deps: Pick<ChannelDeps, 'approvals' | 'log' | 'now'> & {
    store: OutboxStore
    outbox: Outbox
    inbox: InboxStore
    people: PeopleStore
    questions: Questions
    settings: (name: string) => ChannelSettings
    stored: (row: NewInbound) => Promise<boolean>
  },
) {
  const { store, people, questions, settings, log, now } = deps

  /** Words for the one who pressed; undefined just ends the waiting sign. */
  async function pressed(carrier: Gateway, press: CallbackQuery): Promise<string | undefined> {
    const channel = carrier.name
    const row = await messageOf(channel, press)
    if (!row) return 'This message is not known any more.'
    const person = await people.person(channel, press.sender.id)
    const direct = chatKind(row.chat_type) === 'dm'
    const verdict = judge({
      settings: settings(channel),
      place: { channel, chat_type: row.chat_type, chat_id: row.chat_id, sender_id: press.sender.id },
      person,
      group: direct ? undefined : await people.group(channel, row.chat_id),
      addressed: true,
    })
    if (verdict.action !== 'answer') return 'You may not use this.'
    // A program may send any data; below a message with buttons, theirs alone counts.
    const buttons = row.body.buttons?.rows.flat()
    if (buttons?.every(({ callback_data }) => callback_data !== press.data)) {
      return 'This message is not known any more.'
    }
    const [kind, what = '', ...rest] = press.data.split(':')
    if (kind === 'approve' && DECISIONS.has(what)) {
      return await approve(row, press, what as Decision, rest[0])
    }
    if (kind === 'answer') return await answer(row, press, what, Number(rest[0]))
    if (kind === 'choice') return await choose(carrier, row, press, Number(what))
  }

  /** A press may overtake the note of what its message is called; one below an edited message is of its buttons. */
  async function messageOf(channel: string, { chat_id, message_id }: CallbackQuery): Promise<OutRow | undefined> {
    for (let waited = 0;; waited += LOOK_MS) {
      const sending = deps.outbox.sendingTo(channel, chat_id)
      const row = await store.byMessage(channel, chat_id, message_id)
      if (row?.body.target !== undefined) return await store.get(row.body.target)
      if (row || !sending || waited > PATIENCE_MS) return row
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  async function approve(row: OutRow, press: CallbackQuery, decision: Decision, id?: string) {
    const question = questions.openIn(row.session_id ?? '').find((open) => id === undefined || open.id === id)
    if (!question) return 'This was answered already.'
    // A press counts only for the question that was shown with it.
    if (row.key !== `approval:${question.id}`) return 'This message is not known any more.'
    const person = await people.person(row.channel, press.sender.id)
    if (!mayApprove(settings(row.channel), press.sender.id, person, row.requester_id)) {
      return 'You may not answer this.'
    }
    await deps.approvals.decide(callerOf(row, press), question.id, decision, { via: 'channel' })
    return TOASTS[decision]
  }

  async function answer(row: OutRow, press: CallbackQuery, id: string, number: number) {
    const question = questions.openIn(row.session_id ?? '').find((open) => open.id === id && open.tool === ASK_USER)
    const choice = question && choicesOf(question.arguments)[number]
    if (!question || choice === undefined || row.key !== `approval:${id}`) return 'This was answered already.'
    if (press.sender.id !== question.requester) return 'This question is for somebody else.'
    await deps.approvals.decide(callerOf(row, press), id, 'allow_once', { via: 'channel', reason: choice })
    return choice
  }

  async function choose(carrier: Gateway, row: OutRow, press: CallbackQuery, number: number) {
    const choice = row.body.buttons?.rows[number]?.[0]?.text
    if (choice === undefined || row.session_id === null) return 'This message is not known any more.'
    if (row.buttons_open === 0) return 'This was answered already.'
    // Stored under the message, not under the press: whoever presses second finds it taken.
    const event_id = `choice:${row.id}`
    const isFirst = await deps.stored({
      channel: row.channel,
      event_id,
      chat_type: row.chat_type,
      chat_id: row.chat_id,
      thread_id: row.thread_id,
      sender_id: press.sender.id,
      sender_name: labelOf(press.sender),
      message_id: press.message_id,
      reply_to: null,
      text: choice,
      media: null,
      session_id: row.session_id,
      route: null,
      state: 'new',
      at: now(),
    })
    const asked = isFirst ? choice : await deps.inbox.textOfEvent(row.channel, event_id) ?? choice
    // Where nothing can be edited, the press itself stands in the chat.
    if (carrier.ready?.capabilities.includes('edit')) {
      await deps.outbox.add({
        ...row,
        kind: 'edit',
        key: event_id,
        body: { text: `${row.body.text}\n\n▸ ${asked}`, target: row.id },
      })
    }
    // Last, so that whatever a crash cut is made up for by the next press.
    await store.press(row.id)
    return isFirst ? undefined : 'This was answered already.'
  }

  return async (carrier: Gateway, press: CallbackQuery): Promise<void> => {
    let toast: string | undefined
    try {
      toast = await pressed(carrier, press)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      toast = error.message
    }
    const body = {
      type: 'answer_callback_query' as const,
      callback_query_id: press.callback_query_id,
      ...(toast === undefined ? {} : { text: beginning(toast, 200) }),
    }
    // Not waited for: the plugin's answer stands behind what it is telling us now.
    carrier.command(body, { request_id: ulid() }).catch((error) =>
      log.debug('channel.press_not_answered', 'A press of a button could not be answered', { error: String(error) })
    )
  }
}

const callerOf = (row: OutRow, press: CallbackQuery) =>
  channelCaller(row.channel, { id: press.sender.id, name: labelOf(press.sender) })
