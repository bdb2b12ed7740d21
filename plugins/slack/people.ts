import type { ChannelApi } from '../sdk/channel.ts'
import type { SlackApi } from './api.ts'
import { SlackRefusal } from './refusal.ts'

/** Who wrote, as Slack shows them. */
export type Person = { username?: string; display_name?: string }

const REMEMBERED = 1000
const FRESH_MS = 3_600_000
/** A message waits for a name, and Slack for the message; three seconds are all there is. */
const TIMEOUT_MS = 1500

type User = { name?: string; real_name?: string; profile?: { display_name?: string; real_name?: string } }

/** Names of people, asked for once an hour at most. Without them everything goes on. */
export function createPeople({ api, log }: { api: SlackApi; log: ChannelApi['log'] }) {
  const known = new Map<string, { at: number; person: Promise<Person> }>()
  let warned = false

  async function ask(id: string): Promise<Person> {
    try {
      const { user } = await api.call<{ user: User }>('users.info', { user: id }, { timeoutMs: TIMEOUT_MS })
      const name = user.profile?.display_name || user.profile?.real_name || user.real_name
      return { ...(user.name ? { username: user.name } : {}), ...(name ? { display_name: name } : {}) }
    } catch (error) {
      // Nobody has a name then, and one line says why.
      if (error instanceof SlackRefusal && error.error === 'missing_scope') {
        if (!warned) log.warn(`Names of people are not known: ${error.message}`)
        warned = true
        return {}
      }
      known.delete(id)
      log.debug(`A name could not be asked for: ${(error as Error).message}`)
      return {}
    }
  }

  function get(id: string): Promise<Person> {
    const before = known.get(id)
    if (before && Date.now() - before.at < FRESH_MS) return before.person
    const person = ask(id)
    known.delete(id)
    known.set(id, { at: Date.now(), person })
    if (known.size > REMEMBERED) known.delete(known.keys().next().value!)
    return person
  }

  return {
    get,
    async nameOf(id: string): Promise<string | undefined> {
      const { display_name, username } = await get(id)
      return display_name ?? username
    },

    forget: (id: string): void => void known.delete(id),
  }
}

export type People = ReturnType<typeof createPeople>
