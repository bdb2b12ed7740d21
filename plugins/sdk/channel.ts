import type { AuthMethod, InlineKeyboard, MessageReceived } from '../../shared/gateway-protocol.ts'
import type { CallbackQuery } from '../../shared/gateway-protocol.ts'
import type { Registrar } from './capabilities.ts'
import type { IncomingFile, PlatformMedia } from './files.ts'
import { definePlugin, type Environment, type PluginApi } from './plugin.ts'
import type { TextLimit } from './text.ts'

/** Where an answer goes, and the core's own id of this command: the same when it is sent again. */
type Target = {
  request_id: string
  chat_id: string
  /** As the routing of the message that is answered named it, for platforms whose chats have threads. */
  thread_id?: string | undefined
}

export type OutgoingText = Target & {
  /** Markdown as a model writes it; not longer than the channel's `limit`. */
  content: string
  /** Id of the platform's message that this answers. */
  reply_to?: string | undefined
  inline_keyboard?: InlineKeyboard | undefined
}

export type OutgoingMedia = Target & PlatformMedia & { caption?: string | undefined }

/**
 * What a channel can do, over one connection to its platform. Each throws `PluginError` when the platform refuses.
 * The SDK hands over one command at a time for each chat, and a command that is repeated only once.
 */
export type Channel = {
  /** Answers with the platform's id of the message. */
  send(message: OutgoingText): Promise<string | undefined>
  edit?(message: Target & { message_id: string; content: string }): Promise<void>
  delete?(message: Target & { message_id: string }): Promise<void>
  media?(message: OutgoingMedia): Promise<string | undefined>
  /** For so many seconds; 0 ends it. The thread as the routing of the message named it. */
  typing?(chatId: string, seconds: number, threadId?: string): Promise<void> | void
  /** Our sign below a message of somebody, in place of `replaces`; without `emoji` it goes. */
  react?(
    message: Target & { message_id: string; emoji?: string | undefined; replaces?: string | undefined },
  ): Promise<void>
  /** Ends the waiting of a pressed button; `text` is shown shortly to who pressed it. */
  answerCallback?(callbackId: string, text: string | undefined): Promise<void> | void
  /** Whether the platform can be reached now; true when left out. */
  connected?(): boolean
  /** Has a quarter of a second. */
  stop?(): Promise<void> | void
}

/** What a person wrote. `chat_id` and `sender_id` of the routing are filled in. */
export type Incoming = Omit<Partial<MessageReceived>, 'type' | 'routing'> & {
  message_id: string
  chat_id: string
  sender: MessageReceived['sender']
  content: MessageReceived['content']
  routing: { chat_type: 'dm' | 'group' | 'channel'; channel?: string; [extra: string]: string | undefined }
}

/** What a channel tells the core. */
export type ChannelApi = PluginApi & Pick<Registrar, 'httpRoute'> & {
  /** A message came in. Resolves when it is on its way; `settled` tells when it is safe. */
  received(message: Incoming): Promise<void>
  /**
   * Takes a file that came with a message, and answers with the `url` for its content. One that is larger than
   * `maxFileBytes` throws `PluginError` with code `too_large`.
   */
  file(file: IncomingFile): Promise<string>
  /** Bytes of the largest file that the core takes. */
  readonly maxFileBytes: number
  /** A button was pressed. */
  pressed(callback: Omit<CallbackQuery, 'type'>): Promise<void>
  /**
   * Resolves when the core has stored everything that was told before, so that the platform may forget it.
   * Under a core without a store it resolves when it is written.
   */
  settled(): Promise<void>
  /** The connection to the platform; `identity` is who we are there. */
  status(connected: boolean, more?: { identity?: string; detail?: string }): void
  /** Something failed that no command can be told of any more; the owner sees it beside the channel. */
  problem(code: string, message: string): Promise<void>
  /** The platform wants to be confirmed on another device. */
  authRequired(method: AuthMethod): Promise<void>
  authSuccess(): Promise<void>
}

export type ChannelDefinition = {
  id: string
  /** Beside `edit`, `delete`, `media`, `typing` and `reactions`, which follow from what there is. */
  capabilities?: ('reply' | 'inline_keyboard')[]
  /** Longest text of a message; a longer one is sent in pieces. */
  limit?: TextLimit
  environment?: Environment
  /** Resolves as soon as commands can be taken; the platform need not be reached by then. */
  start(api: ChannelApi): Channel | Promise<Channel>
}

/** Runs this process as a channel; see `README.md` beside this file. */
export function defineChannel(definition: ChannelDefinition): void {
  const { id, environment, ...channel } = definition
  definePlugin({ id, channel, ...(environment ? { environment } : {}) })
}
