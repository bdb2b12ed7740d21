import type { ChannelRoute, ChannelSettings } from '../../shared/channels.ts'
import type { MessageReceived } from '../../shared/gateway-protocol.ts'
import { judge, type Verdict } from './access.ts'
import type { Activity } from './activity.ts'
import { labelOf, wordsOf } from './ask-text.ts'
import type { ChatCommands } from './chat-commands.ts'
import type { ChannelDeps } from './deps.ts'
import { idProblem } from './ids.ts'
import type { InboxStore, NewInbound } from './inbox-store.ts'
import type { Pairings } from './pairing.ts'
import type { PeopleStore } from './people-store.ts'
import { destinationOf } from './routing.ts'
import { chatKind, type Place } from './session-key.ts'

/** Names that platforms give to the parts of a chat, in `routing` beside the usual fields. */
const THREADS = ['thread_id', 'topic_id', 'message_thread_id', 'thread_ts']

/**
 * What happens to a message before it is acknowledged: is it consistent, may its writer write, where does it go; then
 * it is stored. Nothing else has happened by then, no session and no command.
 */
export function createInbound(
  deps: Pick<ChannelDeps, 'log' | 'now'> & {
    people: PeopleStore
    pairings: Pairings
    commands: ChatCommands
    activity: Activity
    settings: (name: string) => ChannelSettings
    routes: () => readonly ChannelRoute[]
    inbox: Pick<InboxStore, 'mediaOf'>
    media: { forget(channel: string, url: string | undefined): Promise<void> }
    stored: (row: NewInbound) => Promise<boolean>
  },
) {
  const { people, settings, log, now } = deps

  /** True when it was stored with a file that is still to be fetched. */
  async function take(channel: string, event: MessageReceived): Promise<boolean> {
    const { sender } = event
    const problem = inconsistency(event)
    if (problem) {
      deps.activity.failed(channel, problem)
      log.warn('channel.refused_event', problem, { channel })
      return false
    }
    const place = placeOf(channel, event)
    const direct = chatKind(place.chat_type) === 'dm'
    const words = wordsOf(event.content)
    const named = event.mentions_bot || event.reply_to_bot
    const slash = words === undefined ? undefined : deps.commands.slashOf(words, direct || named)
    const verdict: Verdict = judge({
      settings: settings(channel),
      place,
      person: await people.person(channel, sender.id),
      group: direct ? undefined : await people.group(channel, place.chat_id),
      addressed: named || slash !== undefined,
    })
    if (verdict.action === 'drop') {
      log.info('channel.dropped', `A message was dropped: ${verdict.reason}`, { channel, sender: sender.id })
      return false
    }
    const name = labelOf(sender)
    const chat = { channel, chat_type: place.chat_type, chat_id: place.chat_id, thread_id: place.thread_id ?? '' }
    if (verdict.action === 'pair') {
      await deps.pairings.knock(chat, { id: sender.id, name })
      return false
    }

    const destination = destinationOf(place, deps.routes())
    if ('drop' in destination) {
      log.info('channel.dropped', 'A message was dropped by a rule', { channel, rule: destination.rule })
      return false
    }
    const file = event.content.type === 'media' && event.content.url !== undefined
      ? { kind: event.content.media_type, url: event.content.url }
      : null
    const text = words ?? ''
    const says = text.trim() !== '' || file !== null
    const isRecord = !says || verdict.action === 'record'
    // Of what is only kept in the record, nobody will ask for the file.
    const media = isRecord ? null : file
    const { session_id, model, instructions } = destination
    const route = {
      ...(model === undefined ? {} : { model }),
      ...(instructions === undefined ? {} : { instructions }),
      ...(slash?.plugin === undefined ? {} : { plugin: slash.plugin }),
    }
    const stored = await deps.stored({
      ...chat,
      event_id: eventId(event),
      sender_id: sender.id,
      sender_name: name,
      message_id: event.message_id,
      reply_to: event.reply_to ?? null,
      text,
      media,
      session_id,
      route: Object.keys(route).length > 0 ? route : null,
      state: isRecord
        ? 'record'
        : verdict.action === 'context'
        ? 'context'
        : slash || (media === null && deps.commands.mayBeAnswer(session_id))
        ? 'command'
        : 'new',
      at: now(),
    })
    return stored && media !== null
  }

  return async (channel: string, event: MessageReceived): Promise<void> => {
    const url = event.content.type === 'media' ? event.content.url : undefined
    if (await take(channel, event) || url === undefined) return
    // Told twice, both may mean the same file.
    if (await deps.inbox.mediaOf(channel, eventId(event)) !== url) await deps.media.forget(channel, url)
  }
}

/** Sessions and replies go by these, so a plugin must not say two things of one message. */
function inconsistency({ chat_id, sender, routing, message_id, reply_to }: MessageReceived): string | undefined {
  if (chat_id !== routing.chat_id) return 'chat_id: differs from routing.chat_id; the message was dropped'
  if (sender.id !== routing.sender_id) return 'sender.id: differs from routing.sender_id; the message was dropped'
  if (chat_id === '' || sender.id === '' || message_id === '') {
    return 'chat_id, sender.id and message_id must not be empty; the message was dropped'
  }
  const threads = THREADS.map((name) => routing[name])
  const ids = [chat_id, sender.id, message_id, reply_to, routing.chat_type, ...threads].filter((id) => id !== undefined)
  const problem = ids.map(idProblem).find((words) => words !== undefined)
  return problem && `an id ${problem}; the message was dropped`
}

function placeOf(channel: string, { chat_id, sender, routing }: MessageReceived): Place {
  const thread = THREADS.map((name) => routing[name]).find((id) => id !== undefined && id !== '')
  return {
    channel,
    chat_type: routing.chat_type,
    chat_id,
    sender_id: sender.id,
    ...(thread === undefined ? {} : { thread_id: thread }),
  }
}

/** The platform's own id of the event where the plugin tells it; else chat and message, for many count per chat. */
function eventId({ metadata, chat_id, message_id }: MessageReceived): string {
  const told = (metadata as { event_id?: unknown } | undefined)?.event_id
  return typeof told === 'string' && told !== '' && idProblem(told) === undefined
    ? `event:${told}`
    : JSON.stringify([chat_id, message_id])
}
