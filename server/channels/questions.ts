import type { Approval } from '../../shared/approvals.ts'
import type { InlineKeyboard } from '../../shared/gateway-protocol.ts'
import type { TurnEventBody } from '../../shared/turn-events.ts'
import type { ChannelSettings } from '../../shared/channels.ts'
import { createRedactor } from '../system/redact.ts'
import { isTrusted } from './access.ts'
import type { AskRow } from './inbox-store.ts'
import type { Outbox } from './outbox.ts'
import type { OutboxStore } from './outbox-store.ts'
import type { PeopleStore } from './people-store.ts'
import { type ChannelDeps, CHANNELS } from './deps.ts'
import { choiceButtons, choiceList } from './reply-text.ts'
import type { Gateway } from '../plugins/gateway.ts'

type Asked = Pick<
  Extract<TurnEventBody, { type: 'approval' }>,
  'approval_id' | 'name' | 'arguments' | 'reason' | 'patterns'
>
type Decided = Pick<Extract<TurnEventBody, { type: 'approval_decided' }>, 'approval_id' | 'decision' | 'by'>

/** A question that is open in a chat. */
export type OpenQuestion = { id: string; tool: string; arguments: Record<string, unknown>; requester: string }
export type Questions = ReturnType<typeof createQuestions>

/** The tool whose question is answered in words. */
export const ASK_USER = 'ask_user'
const redactor = createRedactor()

/** Shows in its chat what the agent waits for, and takes the buttons away once it is answered, wherever that was. */
export function createQuestions(
  deps: Pick<ChannelDeps, 'approvals'> & {
    outbox: Outbox
    store: OutboxStore
    people: PeopleStore
    settings: (name: string) => ChannelSettings
    gateway: (name: string) => Gateway | undefined
  },
) {
  const { outbox, store, settings, people, gateway } = deps
  const open = new Map<string, OpenQuestion[]>()

  const can = (channel: string, what: string): boolean => gateway(channel)?.ready?.capabilities.includes(what) ?? false

  /** The oldest question first. */
  const openIn = (sessionId: string): readonly OpenQuestion[] => open.get(sessionId) ?? []

  async function show(ask: AskRow, asked: Asked): Promise<void> {
    const { approval_id: id, name: tool, arguments: args } = asked
    const known = openIn(ask.session_id)
    if (!known.some((question) => question.id === id)) {
      open.set(ask.session_id, [...known, { id, tool, arguments: args, requester: ask.sender_id }])
    }
    const buttons = can(ask.channel, 'inline_keyboard')
    const body = tool === ASK_USER ? questionOf(id, args, buttons) : await approvalOf(ask, asked, buttons)
    await outbox.add({
      ...ask,
      kind: 'send',
      key: `approval:${id}`,
      body,
      requester_id: ask.sender_id,
      session_id: ask.session_id,
      turn_id: ask.turn_id,
    })
  }

  async function approvalOf(ask: AskRow, asked: Asked, buttons: boolean) {
    const own = settings(ask.channel)
    const person = await people.person(ask.channel, ask.sender_id)
    const here = own.approvers ? own.approvers.length > 0 : isTrusted(own, ask.sender_id, person)
    const text = [
      `🔐 **${asked.name}** waits for a yes. ${asked.reason}`,
      `\`\`\`\n${briefly(asked.arguments)}\n\`\`\``,
      here
        ? buttons ? 'Press a button, or write /approve or /deny.' : 'Write /approve, /approve always, or /deny.'
        : 'My owner has to answer this.',
    ].join('\n')
    return { text, ...(here && buttons ? { buttons: approvalButtons(asked) } : {}) }
  }

  async function decided({ approval_id: id, decision, by }: Decided): Promise<void> {
    for (const [session, questions] of open) {
      const rest = questions.filter((question) => question.id !== id)
      if (rest.length === 0) open.delete(session)
      else open.set(session, rest)
    }
    const row = await store.byKey(`approval:${id}`)
    if (!row) return
    const text = `${row.body.text.split('\n').slice(0, -1).join('\n') || row.body.text}\n${OUTCOME[decision](by)}`
    await store.press(row.id)
    if (await outbox.rewrite(row.id, { text })) return
    if (!can(row.channel, 'edit')) return
    await outbox.add({ ...row, kind: 'edit', key: `approval:${id}:decided`, body: { text, target: row.id } })
  }

  return {
    openIn,
    show,
    decided,

    /** Shows what these wait for, where that was not heard of when it was asked. */
    async missed(asks: readonly AskRow[]): Promise<void> {
      for (const [ask, asked] of openOf(await deps.approvals.list(CHANNELS, 'pending'), asks)) {
        if (!await store.byKey(`approval:${asked.approval_id}`)) await show(ask, asked)
      }
    },

    /** After a start: shows what is still open, and closes what was answered meanwhile. */
    async recover(asks: readonly AskRow[]): Promise<void> {
      const pending = await deps.approvals.list(CHANNELS, 'pending')
      for (const [ask, asked] of openOf(pending, asks)) await show(ask, asked)
      for (const row of await store.openButtons('approval:')) {
        const id = row.key!.slice('approval:'.length)
        if (!pending.some((approval) => approval.id === id)) {
          await decided({ approval_id: id, decision: 'cancelled', by: '' })
        }
      }
    },
  }
}

/** Questions of the turns that answer these, the oldest first. */
const openOf = (pending: readonly Approval[], asks: readonly AskRow[]): [AskRow, Asked][] =>
  pending.toReversed().flatMap((approval) => {
    const ask = asks.findLast(({ turn_id }) => turn_id === approval.turn_id)
    return ask ? [[ask, { ...approval, approval_id: approval.id, name: approval.tool }]] : []
  })

const OUTCOME: Record<Decided['decision'], (by: string) => string> = {
  allow_once: (by) => `✅ Allowed once by ${by}`,
  allow_session: (by) => `✅ Allowed in this conversation by ${by}`,
  allow_always: (by) => `✅ Allowed from now on by ${by}`,
  deny: (by) => `⛔ Declined by ${by}`,
  expired: () => '⌛ Nobody answered in time',
  cancelled: () => 'No longer asked',
}

function approvalButtons({ approval_id: id, patterns = [] }: Asked): InlineKeyboard {
  const button = (text: string, decision: string) => ({ text, callback_data: `approve:${decision}:${id}` })
  return {
    rows: [[
      button('Allow Once', 'allow_once'),
      ...(patterns.length > 0 ? [button('Allow Always', 'allow_always')] : []),
      button('Deny', 'deny'),
    ]],
  }
}

function questionOf(id: string, args: Record<string, unknown>, buttons: boolean) {
  const choices = choicesOf(args)
  const lines = [`❓ ${String(args.question ?? '').slice(0, 3000)}`]
  if (choices.length > 0 && !buttons) lines.push(choiceList(choices))
  lines.push('Answer in your next message.')
  return {
    text: lines.join('\n'),
    ...(choices.length > 0 && buttons ? { buttons: choiceButtons(`answer:${id}`, choices) } : {}),
  }
}

/** Likely answers of an `ask_user` call. */
export const choicesOf = (args: Record<string, unknown>): string[] =>
  Array.isArray(args.choices) ? args.choices.map(String).slice(0, 12) : []

function briefly(args: Record<string, unknown>): string {
  const text = JSON.stringify(redactor.fields(args), null, 1).replaceAll('```', "'''")
  return text.length > 1500 ? `${text.slice(0, 1500)}…` : text
}
