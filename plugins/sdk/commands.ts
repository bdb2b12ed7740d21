import type { ToPlugin } from '../../shared/plugin-protocol.ts'
import type { Channel } from './channel.ts'
import { describeError, PluginError } from './errors.ts'
import type { Files } from './files.ts'
import type { Link } from './link.ts'
import type { Log } from './log.ts'
import { lengthOf, splitText, type TextLimit } from './text.ts'

/** Answered commands that are remembered, for the core sends one again when it did not hear the answer. */
const REMEMBERED = 1000

type Command = Exclude<
  Extract<ToPlugin, { request_id: string }>,
  { type: 'ping' | 'state_ok' | 'state_failed' }
>
type Typing = Extract<ToPlugin, { type: 'send_typing' }>

/** Commands of the core to a channel: one after the other in each chat, each of them once, every one answered. */
export function createCommands({ channel, limit, files, send, log }: {
  channel: Promise<Channel>
  limit: TextLimit | undefined
  files: Files
  send: Link['send']
  log: Log
}) {
  const chats = new Map<string, Promise<unknown>>()
  const done = new Map<string, Promise<string | undefined>>()

  function inTurn<T>(chatId: string, work: () => Promise<T>): Promise<T> {
    const result = (chats.get(chatId) ?? Promise.resolve()).then(work)
    const settled = result.then(() => {}, () => {}).then(() => {
      if (chats.get(chatId) === settled) chats.delete(chatId)
    })
    chats.set(chatId, settled)
    return result
  }

  async function once(command: Command): Promise<string | undefined> {
    const before = done.get(command.request_id)
    if (before) return await before
    const result = 'chat_id' in command ? inTurn(command.chat_id, () => perform(command)) : perform(command)
    done.set(command.request_id, result)
    if (done.size > REMEMBERED) done.delete(done.keys().next().value!)
    // What failed may be tried again.
    result.catch(() => done.delete(command.request_id))
    return await result
  }

  async function perform(command: Command): Promise<string | undefined> {
    const platform = await channel
    switch (command.type) {
      case 'send_message':
        return await sendPieces(platform, command)
      case 'send_media':
        return await (platform.media ?? cannot('send media'))({ ...command, ...await files.take(command.media) })
      case 'edit_message': {
        const { content } = command
        if (limit && lengthOf(content, limit.unit) > limit.max) {
          throw new PluginError('invalid_request', `content is longer than ${limit.max} ${limit.unit}`)
        }
        await (platform.edit ?? cannot('edit messages'))(command)
        return command.message_id
      }
      case 'delete_message':
        return void await (platform.delete ?? cannot('delete messages'))(command)
      case 'set_reaction':
        return void await (platform.react ?? cannot('react'))(command)
      case 'answer_callback_query':
        return void await platform.answerCallback?.(command.callback_query_id, command.text)
    }
  }

  async function sendPieces(
    platform: Channel,
    { content, reply_to, inline_keyboard, request_id, chat_id, thread_id }: Extract<Command, { type: 'send_message' }>,
  ): Promise<string | undefined> {
    const pieces = limit ? splitText(content, limit) : [content]
    if (pieces.length === 0) throw new PluginError('invalid_request', 'content is empty')
    let id: string | undefined
    for (const [i, piece] of pieces.entries()) {
      id = await platform.send({
        // Each piece is a message of its own on the platform.
        request_id: i === 0 ? request_id : `${request_id}-${i}`,
        chat_id,
        thread_id,
        content: piece,
        reply_to: i === 0 ? reply_to : undefined,
        inline_keyboard: i === pieces.length - 1 ? inline_keyboard : undefined,
      })
    }
    return id
  }

  return {
    async run(command: Command): Promise<void> {
      const { request_id } = command
      let message_id: string | undefined
      try {
        message_id = await once(command)
      } catch (error) {
        return await send({ type: 'command_error', request_id, ...describeError(error) })
      }
      await send({ type: 'command_ok', request_id, ...(message_id === undefined ? {} : { message_id }) })
    },

    /** Never answered, so its failure is only noted. */
    async typing({ chat_id, thread_id, duration }: Typing): Promise<void> {
      try {
        const platform = await channel
        await platform.typing?.(chat_id, duration, thread_id)
      } catch (error) {
        log.debug(`Typing could not be shown: ${describeError(error).message}`)
      }
    },
  }
}

const cannot = (what: string) => (): never => {
  throw new PluginError('not_implemented', `This channel can't ${what}`)
}
