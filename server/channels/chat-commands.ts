import type { ChannelSettings } from '../../shared/channels.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError } from '../errors.ts'
import { isTrusted, mayApprove } from './access.ts'
import { channelCaller, type ChannelDeps } from './deps.ts'
import type { InboxRow } from './inbox-store.ts'
import type { PairingRow, PeopleStore, PersonRow } from './people-store.ts'
import { ASK_USER, type OpenQuestion, type Questions } from './questions.ts'
import type { Pairings } from './pairing.ts'

/** What everybody may do who may write; the rest is for those whom the owner trusts. */
const FOR_ALL = new Set(['new', 'reset', 'clear', 'stop', 'status', 'queue', 'help', 'context'])
const FOR_TRUSTED = new Set(['model', 'compact', 'usage'])
/** Of these the order among messages does not matter, and they must not wait. */
const AT_ONCE = new Set(['stop', 'status', 'queue', 'help', 'start', 'approve', 'deny', 'pair'])
const OWN: Record<string, string> = {
  approve: 'Allow the call that waits; "always" for good',
  deny: 'Decline the call that waits; words after it are told to the agent',
  pair: 'Let somebody in by their code',
}
const YES = new Set(['yes', 'y', 'ok', 'approve', 'allow'])
const NO = new Set(['no', 'n', 'deny', 'decline'])

/** `plugin` is who answers it, for one that is not ours; `safe` when it only reads. */
type Slash = { name: string; arg: string; plugin?: string; safe?: boolean }
type Speaker = { row: InboxRow; caller: Caller; person: PersonRow | undefined; trusted: boolean; own: ChannelSettings }

export type ChatCommands = ReturnType<typeof createChatCommands>

/** Slash commands and typed answers, from people who passed the access checks. */
export function createChatCommands(
  deps: Pick<ChannelDeps, 'commands' | 'approvals'> & {
    people: PeopleStore
    pairings: Pairings
    questions: Questions
    settings: (name: string) => ChannelSettings
  },
) {
  const { commands, questions, people } = deps

  /** `/name@bot words`; undefined for an ordinary text. `addressed` tells whether a named bot is ours. */
  function slashOf(text: string, addressed: boolean): Slash | undefined {
    const found = /^\/([a-z][a-z0-9_]{0,39})(@\S+)?(?:\s+([^]*))?$/i.exec(text.trim())
    if (!found || (found[2] !== undefined && !addressed)) return undefined
    const name = found[1]!.toLowerCase()
    const slash = { name, arg: found[3]?.trim() ?? '' }
    if (isOwn(name)) return slash
    const offered = commands.list().find((command) => command.name === name && command.plugin !== undefined)
    return offered && { ...slash, plugin: offered.plugin!, safe: offered.effect === 'read' }
  }

  const isOwn = (name: string): boolean =>
    name === 'start' || Object.hasOwn(OWN, name) ||
    ((FOR_ALL.has(name) || FOR_TRUSTED.has(name)) && commands.knows(name))

  async function speakerOf(row: InboxRow): Promise<Speaker> {
    const own = deps.settings(row.channel)
    const person = await people.person(row.channel, row.sender_id)
    return {
      row,
      own,
      person,
      caller: channelCaller(row.channel, { id: row.sender_id, name: row.sender_name }),
      trusted: isTrusted(own, row.sender_id, person),
    }
  }

  async function run(slash: Slash, speaker: Speaker): Promise<string> {
    const { name, arg } = slash
    const { caller, row, trusted } = speaker
    if (name === 'help' || name === 'start') return help(speaker)
    if (name === 'approve') return await answer(speaker, arg)
    if (name === 'deny') return await decide(speaker, questionOf(speaker), 'deny', arg)
    if (!trusted && !FOR_ALL.has(name) && !slash.safe) return 'Only people whom my owner trusts may do this.'
    if (name === 'pair') {
      if (!arg) return 'Write /pair and the code.'
      return welcome(await deps.pairings.approveFromChat(caller, arg))
    }
    const about = slash.plugin === undefined ? {} : aboutOf(speaker)
    const { text, picker } = await commands.run(name, { caller, sessions: [row.session_id], arg, about })
    if (!picker) return text
    const options = picker.options.map(({ label, value }) => `/${name} ${value} (${label})`)
    return [picker.prompt, ...options].join('\n')
  }

  function help({ trusted }: Speaker): string {
    const shared = commands.list().filter(({ name, plugin, effect }) =>
      plugin === undefined
        ? FOR_ALL.has(name) || (trusted && FOR_TRUSTED.has(name))
        : !isOwn(name) && (trusted || effect === 'read')
    )
    const own = trusted ? Object.entries(OWN).map(([name, description]) => ({ name, description })) : []
    return [...shared, ...own].map(({ name, description }) => `/${name}: ${description}`).join('\n')
  }

  const questionOf = ({ row }: Speaker): OpenQuestion | undefined => questions.openIn(row.session_id)[0]

  async function answer(speaker: Speaker, arg: string): Promise<string> {
    const [word = '', ...rest] = arg.split(/\s+/)
    const decision = word === 'always' ? 'allow_always' : word === 'session' ? 'allow_session' : 'allow_once'
    const words = decision === 'allow_once' ? arg : rest.join(' ')
    return await decide(speaker, questionOf(speaker), decision, words)
  }

  async function decide(
    { row, own, person, caller }: Speaker,
    question: OpenQuestion | undefined,
    decision: 'allow_once' | 'allow_session' | 'allow_always' | 'deny',
    reason: string,
  ): Promise<string> {
    if (!question) return 'Nothing waits for an answer here.'
    const answers = question.tool === ASK_USER
    if (!answers && !mayApprove(own, row.sender_id, person, question.requester)) {
      return 'You may not answer this.'
    }
    if (answers && row.sender_id !== question.requester) return 'This question is for somebody else.'
    await deps.approvals.decide(caller, question.id, decision, {
      via: 'channel',
      ...(reason ? { reason: reason.slice(0, 1000) } : {}),
    })
    if (answers) return ''
    return decision === 'deny' ? `Declined: ${question.tool}` : `Allowed: ${question.tool}`
  }

  /** The answer that a text is to what the agent waits for; undefined when it is a message like any other. */
  async function typed(speaker: Speaker): Promise<string | undefined> {
    const question = questionOf(speaker)
    if (!question) return undefined
    const { row, own, person } = speaker
    if (question.tool === ASK_USER) {
      if (row.sender_id !== question.requester) return undefined
      return await decide(speaker, question, 'allow_once', row.text)
    }
    const word = row.text.trim().toLowerCase().replace(/[.!]$/, '')
    if (!YES.has(word) && !NO.has(word)) return undefined
    if (!mayApprove(own, row.sender_id, person, question.requester)) return undefined
    return await decide(speaker, question, YES.has(word) ? 'allow_once' : 'deny', '')
  }

  return {
    slashOf,

    /** Whether a text may be the answer to something that the agent waits for. */
    mayBeAnswer: (sessionId: string): boolean => questions.openIn(sessionId).length > 0,

    atOnce: (text: string): boolean => {
      const slash = slashOf(text, true)
      // A plugin that takes its time holds nobody's conversation up.
      return !slash || slash.plugin !== undefined || AT_ONCE.has(slash.name)
    },

    /** What to say to it, nothing for '', or undefined when it was a message after all. */
    async handle(row: InboxRow): Promise<string | undefined> {
      const speaker = await speakerOf(row)
      const slash = slashOf(row.text, true)
      const plugin = row.route?.plugin
      if (!slash && plugin !== undefined) return `The plugin ${plugin} does not run at the moment. Try again later.`
      try {
        return slash ? await run(slash, speaker) : await typed(speaker)
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        return error.message
      }
    },
  }
}

/** What a plugin is told of where its command was given. The same message comes again when the server was killed. */
const aboutOf = ({ row, trusted }: Speaker): Record<string, string> => ({
  channel: row.channel,
  chat_type: row.chat_type,
  chat_id: row.chat_id,
  ...(row.thread_id === '' ? {} : { thread_id: row.thread_id }),
  message_id: row.message_id,
  sender_id: row.sender_id,
  sender_name: row.sender_name,
  trusted: String(trusted),
})

const welcome = ({ person_name, person_id }: Pick<PairingRow, 'person_name' | 'person_id'>): string =>
  `${person_name || person_id} may write now.`
