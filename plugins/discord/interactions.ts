import {
  type API,
  type APIApplicationCommandInteraction,
  type APIInteraction,
  type APIMessageComponentInteraction,
  type APIUser,
  ApplicationCommandOptionType,
  ApplicationCommandType,
  InteractionContextType,
  InteractionType,
  MessageFlags,
  type RESTPutAPIApplicationCommandsJSONBody,
} from '@discordjs/core'
import type { ChannelApi, Incoming } from '../sdk/channel.ts'
import type { Channels } from './channels.ts'
import { messageId } from './ids.ts'
import { plain, refusal } from './refusal.ts'

/** Discord takes words about a pressed button for a quarter of an hour. */
const REMEMBERED_MS = 15 * 60_000

/** The commands that people type elsewhere; what follows them is `arg`. */
const COMMANDS: { name: string; description: string; arg?: string }[] = [
  { name: 'new', description: 'Begin a new conversation' },
  { name: 'stop', description: 'Stop what is being worked on' },
  { name: 'status', description: 'What is going on here' },
  { name: 'help', description: 'What can be said' },
  { name: 'model', description: 'Which model answers', arg: 'Another model' },
  { name: 'usage', description: 'What this conversation has cost' },
  { name: 'compact', description: 'Shorten the conversation' },
  { name: 'approve', description: 'Allow what is asked for', arg: 'once, session or always' },
  { name: 'deny', description: 'Refuse what is asked for', arg: 'Why' },
  { name: 'pair', description: 'Let somebody in', arg: 'The code that they were given' },
]

/** How Discord lists them. */
export const slashCommands: RESTPutAPIApplicationCommandsJSONBody = COMMANDS.map(({ name, description, arg }) => ({
  type: ApplicationCommandType.ChatInput,
  name,
  description,
  contexts: [InteractionContextType.Guild, InteractionContextType.BotDM],
  options: arg ? [{ type: ApplicationCommandOptionType.String, name: 'arg', description: arg }] : [],
}))

/** Pressed buttons and slash commands. */
export function createInteractions({ channel, api, channels }: { channel: ChannelApi; api: API; channels: Channels }) {
  /** Tokens of pressed buttons, for words about them. */
  const pressed = new Map<string, { application: string; token: string; at: number }>()

  async function command(interaction: APIApplicationCommandInteraction, text: string): Promise<void> {
    const { place, sender, guild_id, channel_id } = await whereOf(interaction)
    await channel.received({
      message_id: messageId(channel_id, interaction.id),
      chat_id: place.chat_id,
      sender,
      content: { type: 'text', text },
      routing: {
        channel: 'discord',
        chat_type: guild_id === undefined ? 'dm' : 'group',
        thread_id: place.thread_id,
        guild_id,
      },
      mentions_bot: true,
      timestamp: new Date().toISOString(),
    })
  }

  async function press(interaction: APIMessageComponentInteraction): Promise<void> {
    const { place, sender, channel_id } = await whereOf(interaction)
    await channel.pressed({
      callback_query_id: interaction.id,
      chat_id: place.chat_id,
      sender,
      message_id: messageId(channel_id, interaction.message.id),
      data: interaction.data.custom_id,
    })
  }

  async function whereOf({ channel: where, guild_id, member, user }: Interaction) {
    if (where && 'type' in where) channels.note(where)
    const channel_id = where!.id
    return {
      channel_id,
      guild_id,
      place: await channels.placeOf({ channel_id, guild_id }),
      sender: senderOf(member?.user ?? user!, member?.nick),
    }
  }

  /** Discord shows a failure after three seconds, so this comes before anything else is waited for. */
  const acknowledge = (answer: Promise<unknown>): void =>
    void answer.catch((error: unknown) => channel.log.warn(`An interaction could not be acknowledged: ${plain(error)}`))

  return {
    /** Acknowledges it, and gives what remains to be told to the core. */
    take(interaction: APIInteraction): (() => Promise<void>) | undefined {
      const { id, token, application_id: application } = interaction
      if (!interaction.channel) return undefined
      if (interaction.type === InteractionType.MessageComponent) {
        acknowledge(api.interactions.deferMessageUpdate(id, token))
        for (const [old, { at }] of pressed) if (Date.now() - at > REMEMBERED_MS) pressed.delete(old)
        pressed.set(id, { application, token, at: Date.now() })
        return () => press(interaction)
      }
      if (
        interaction.type === InteractionType.ApplicationCommand &&
        interaction.data.type === ApplicationCommandType.ChatInput
      ) {
        const { name, options = [] } = interaction.data
        const words = options.flatMap((option) => 'value' in option ? [String(option.value)] : [])
        const text = [`/${name}`, ...words].join(' ')
        // Only who wrote it sees this. Whether it is answered is decided by the core.
        acknowledge(
          api.interactions.reply(id, token, {
            content: text.slice(0, 1000),
            flags: MessageFlags.Ephemeral,
            allowed_mentions: { parse: [] },
          }),
        )
        return () => command(interaction, text)
      }
      return undefined
    },

    /** Words about a pressed button, which only who pressed it sees. */
    async answer(id: string, text: string | undefined): Promise<void> {
      const found = pressed.get(id)
      pressed.delete(id)
      if (!found || !text) return
      await api.interactions.followUp(found.application, found.token, {
        content: text.slice(0, 1000),
        flags: MessageFlags.Ephemeral,
        allowed_mentions: { parse: [] },
      }).catch((error: unknown) => {
        throw refusal(error)
      })
    },
  }
}

type Interaction = APIApplicationCommandInteraction | APIMessageComponentInteraction

const senderOf = ({ id, username, global_name }: APIUser, nick: string | null | undefined): Incoming['sender'] => {
  const name = nick ?? global_name
  return { id, username, ...(name ? { display_name: name } : {}) }
}
