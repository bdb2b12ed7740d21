import type { ChannelSettings } from '../../shared/channels.ts'
import type { Turn } from '../../shared/sessions.ts'
import { type Attachment, isFinal, type TurnEvent } from '../../shared/turn-events.ts'
import { AppError } from '../errors.ts'
import type { Gateway } from '../plugins/gateway.ts'
import { isTrusted } from './access.ts'
import { createChains, pause } from './chains.ts'
import { type ChannelDeps, CHANNELS } from './deps.ts'
import type { AskRow, InboxStore } from './inbox-store.ts'
import { createLiveReply, keyOf, type LiveReply } from './live-reply.ts'
import type { NewOut, OutboxStore, OutRow } from './outbox-store.ts'
import type { Outbox } from './outbox.ts'
import type { PeopleStore } from './people-store.ts'
import type { Questions } from './questions.ts'
import type { Progress, Reactions } from './reactions.ts'
import { choiceButtons, choiceList, extractChoices } from './reply-text.ts'
import { splitText, type TextLimit } from './split.ts'
import type { Typing } from './typing.ts'

/** How often a question that a stop of the server cut is put again by itself. */
const ATTEMPTS = 3
/** Only reads by itself, but its sub-agents act. */
const DELEGATE = 'delegate'
const RETRY_MS = 1000

type Tracked = { asks: AskRow[]; live: LiveReply | undefined; attachments: Attachment[] | undefined }

export type Replies = ReturnType<typeof createReplies>

/**
 * Brings what the agent says back to where it was asked. The end of a turn is in the log and the question that it
 * answers is a row, so the reply is derived from both in one transaction: once, however often the server is killed.
 */
export function createReplies(
  deps: Pick<ChannelDeps, 'sessions' | 'tools' | 'log' | 'now'> & {
    inbox: InboxStore
    outbox: Outbox
    store: OutboxStore
    people: PeopleStore
    questions: Questions
    typing: Typing
    reactions: Reactions
    settings: (name: string) => ChannelSettings
    limit: (name: string) => TextLimit
    gateway: (name: string) => Gateway | undefined
    /** Puts a question into its session once more. */
    again: (ask: AskRow) => void
  },
) {
  const { sessions, inbox, outbox, store, questions, typing, reactions, settings, log, now } = deps
  const tracked = new Map<string, Tracked>()
  const chains = createChains()
  const stop = new AbortController()

  /** Follows everything that the agent says, and picks out what was asked in a chat. */
  async function follow(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        for await (const batch of sessions.followAll(CHANNELS, undefined, stop.signal)) {
          for (const { event } of batch) {
            const turn = tracked.get(event.turn_id)
            if (turn) heard(turn, event)
          }
        }
      } catch (error) {
        log.error('channel.follow_failed', 'Following the answers failed; trying again', { error: String(error) })
      }
      await pause(RETRY_MS, stop.signal)
      for (const turnId of [...tracked.keys()]) settleSoon(turnId)
    }
  }

  function heard(turn: Tracked, event: TurnEvent): void {
    const ask = turn.asks.at(-1)!
    switch (event.type) {
      case 'turn_started':
        typing.keep(ask)
        turn.live ??= live(ask)
        return
      case 'step':
        turn.live?.restart()
        return
      case 'text':
        turn.live?.add(event.delta)
        return
      case 'approval':
        typing.end(ask)
        quietly(() => questions.show(ask, event))
        return
      case 'approval_decided':
        typing.keep(ask)
        quietly(() => questions.decided(event))
        return
      case 'turn_finished':
        turn.attachments = event.attachments ?? []
        settleSoon(event.turn_id)
    }
  }

  function live(ask: AskRow): LiveReply | undefined {
    const { channel } = ask
    if (!settings(channel).streaming || !deps.gateway(channel)?.ready?.capabilities.includes('edit')) return undefined
    return createLiveReply({
      ask,
      gateway: () => deps.gateway(channel),
      limit: () => deps.limit(channel),
      outbox,
      store,
      now,
    })
  }

  function quietly(work: () => Promise<void>): void {
    work().catch((error) =>
      log.error('channel.question_failed', 'A question could not be shown in its chat', { error: String(error) })
    )
  }

  function settleSoon(turnId: string): void {
    void chains.run(turnId, async () => {
      for (;;) {
        try {
          return await settle(turnId)
        } catch (error) {
          if (stop.signal.aborted) return
          log.error('channel.reply_failed', 'A reply could not be written; trying again', {
            turn_id: turnId,
            error: (error as Error).stack ?? String(error),
          })
          await pause(RETRY_MS, stop.signal)
        }
      }
    })
  }

  /** Ends what a turn answers, if it has ended. */
  async function settle(turnId: string): Promise<void> {
    const turn = await sessions.turn(CHANNELS, turnId).catch(ignoreUnknown)
    if (turn?.state === 'awaiting_approval') await questions.missed(await inbox.asksOf(turnId))
    if (turn && !isFinal(turn.state)) return
    const { live: preview, attachments } = tracked.get(turnId) ?? {}
    await preview?.stop()
    const asks = (await inbox.asksOf(turnId)).filter(({ state }) => state === 'asked')
    for (const ask of asks) typing.end(ask)
    tracked.delete(turnId)
    if (asks.length === 0) return
    if (!turn) {
      await inbox.transaction((tx) => inbox.answered(tx, turnId, 'dropped'))
      for (const ask of asks) reactions.show(ask, 'over')
      return
    }
    if (wasCut(turn) && asks.every(({ attempt }) => attempt < ATTEMPTS) && !await hasActed(turn)) {
      await inbox.transaction((tx) => inbox.again(tx, turnId))
      for (const { id } of asks) deps.again((await inbox.ask(id))!)
      return
    }
    const files = attachments ?? await attachmentsOf(turn)
    const out = (await Promise.all(byChat(asks).map((ask) => replyTo(ask, turn, files)))).flat()
    await inbox.transaction(async (tx) => {
      if (!await inbox.answered(tx, turnId, 'answered')) return
      for (const entry of out) await store.add(tx, entry)
    })
    for (const { channel, chat_id } of out) outbox.kick(channel, chat_id)
    for (const ask of asks) reactions.show(ask, progressOf(turn))
  }

  async function replyTo(ask: AskRow, turn: Turn, files: readonly Attachment[]): Promise<NewOut[]> {
    const shown = await store.byKey(keyOf(ask))
    const { text, choices } = extractChoices(await textOf(ask, turn, shown))
    const carrier = deps.gateway(ask.channel)?.ready
    const buttons = carrier?.capabilities.includes('inline_keyboard') ?? false
    const listed = choices.length > 0 && !buttons ? [text, choiceList(choices)].filter(Boolean).join('\n\n') : text
    const parts = splitText(listed, deps.limit(ask.channel))
    if (parts.length === 0 && choices.length > 0 && buttons) parts.push('…')
    const place = { ...ask, session_id: ask.session_id, turn_id: turn.turn_id, requester_id: ask.sender_id }
    const key = (part: string): string => `reply:${turn.turn_id}:${ask.id}:${part}`
    const out: NewOut[] = parts.map((part, i) => ({
      ...place,
      kind: i === 0 && shown ? 'edit' : 'send',
      key: key(String(i)),
      body: {
        text: part,
        ...(i === 0 && shown ? { target: shown.id } : {}),
        ...(i === 0 ? { reply_to: ask.reply_to } : {}),
      },
    }))
    if (choices.length > 0 && buttons) {
      const last = out.at(-1)!
      // An edit carries no buttons; they come in a message of their own then.
      const id = key('choice')
      if (last.kind === 'send') last.body.buttons = choiceButtons('choice', choices)
      else out.push({ ...place, kind: 'send', key: id, body: { text: '…', buttons: choiceButtons('choice', choices) } })
    }
    // What was shown meanwhile led to nothing that is said.
    if (parts.length === 0 && shown && carrier?.capabilities.includes('delete')) {
      out.push({ ...place, kind: 'edit', key: key('gone'), body: { text: '', target: shown.id } })
    }
    for (const [i, attachment] of files.entries()) {
      out.push({ ...place, kind: 'media', key: key(`file${i}`), body: { text: '', attachment } })
    }
    return out
  }

  /** What the person is told of how the turn ended. Why it failed concerns only those whom the owner trusts. */
  async function textOf(ask: AskRow, turn: Turn, shown: OutRow | undefined): Promise<string> {
    const said = turn.text?.trim() ?? ''
    if (turn.state === 'completed') return said
    if (turn.error === null) return shown ? `${said || shown.body.text}\n\n(stopped)` : ''
    const person = await deps.people.person(ask.channel, ask.sender_id)
    const why = isTrusted(settings(ask.channel), ask.sender_id, person)
      ? turn.error.message
      : 'Something went wrong while I was answering. Please try again later.'
    return [said, `⚠️ ${why}`].filter(Boolean).join('\n\n')
  }

  const attachmentsOf = async (turn: Turn): Promise<Attachment[]> =>
    (await messagesOf(turn)).findLast((message) => message.role === 'assistant')?.attachments ?? []

  /** A tool that is not known, or not any more, may have done anything. */
  const hasActed = async (turn: Turn): Promise<boolean> =>
    (await messagesOf(turn)).some(({ role, toolInfo: { tool_name = '' } = {} }) =>
      role === 'tool' && (tool_name === DELEGATE || deps.tools.find(tool_name)?.effect !== 'read')
    )

  const messagesOf = async (turn: Turn) =>
    ((await sessions.runs(CHANNELS, turn.session_id, 200).catch(ignoreUnknown)) ?? [])
      .filter((message) => message.turn_id === turn.turn_id)

  return {
    /** A message was taken; its writer sees that something happens. */
    waiting: (chat: Parameters<Typing['keep']>[0]): void => typing.keep(chat),
    /** Nothing happens any more with what was taken. */
    givenUp: (chat: Parameters<Typing['end']>[0]): void => typing.end(chat),

    /** A turn that answers a chat. */
    async track(turnId: string): Promise<void> {
      const asks = await inbox.asksOf(turnId)
      const known = tracked.get(turnId)
      if (known) known.asks = asks
      else tracked.set(turnId, { asks, live: undefined, attachments: undefined })
      for (const ask of asks) if (ask.state === 'asked') reactions.show(ask, 'working')
      // Its end may have come before we listened.
      settleSoon(turnId)
    },

    /** A turn that was taken out of its queue leaves no event. */
    sessionChanged(sessionId: string): void {
      for (const [turnId, { asks }] of tracked) if (asks[0]?.session_id === sessionId) settleSoon(turnId)
    },

    /** Takes up what was asked before the start. */
    async recover(): Promise<void> {
      const asked = await inbox.asks('asked')
      void follow()
      for (const turnId of new Set(asked.map((ask) => ask.turn_id!))) await this.track(turnId)
      await questions.recover(asked)
    },

    async stop(): Promise<void> {
      stop.abort()
      await Promise.all([...tracked.values()].map(({ live }) => live?.stop()))
      let timer: ReturnType<typeof setTimeout> | undefined
      await Promise.race([chains.idle(), new Promise((resolve) => timer = setTimeout(resolve, 2000))])
      clearTimeout(timer)
    },
  }
}

/** The latest question of each chat: messages that shared a turn share its reply. */
function byChat(asks: readonly AskRow[]): AskRow[] {
  const latest = new Map<string, AskRow>()
  for (const ask of asks) latest.set(JSON.stringify([ask.channel, ask.chat_id, ask.thread_id]), ask)
  return [...latest.values()]
}

/** A turn that a person stopped needs no sign. */
const progressOf = ({ state, error }: Turn): Progress => state === 'completed' ? 'done' : error ? 'failed' : 'over'

/** Whether the server's own stop ended it, not a person. */
const wasCut = (turn: Turn): boolean => turn.state === 'interrupted' && turn.error !== null

function ignoreUnknown(error: unknown): undefined {
  if (!(error instanceof AppError) || error.code !== 'not_found') throw error
}
