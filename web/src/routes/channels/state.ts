import type { Channel, Disposition } from '$shared/channels.ts'
import type { Plugin } from '$shared/plugins.ts'

export type Look = { label: string; tone: 'neutral' | 'primary' | 'success' | 'warning' | 'destructive' }

/** The state of a channel in a word. */
export function lookOf({ state, connected, auth }: Pick<Channel, 'state' | 'connected' | 'auth'>): Look {
  switch (state) {
    case 'ready':
      if (auth) return { label: 'Waits for you', tone: 'warning' }
      return connected ? { label: 'Connected', tone: 'success' } : { label: 'Not connected', tone: 'warning' }
    case 'starting':
      return { label: 'Starting', tone: 'primary' }
    case 'backoff':
      return { label: 'Tries again', tone: 'warning' }
    case 'failed':
      return { label: 'Failed', tone: 'destructive' }
    case 'quarantined':
      return { label: 'In quarantine', tone: 'destructive' }
    default:
      return { label: 'Stopped', tone: 'neutral' }
  }
}

const MENDS: [RegExp, string][] = [
  [
    /blocked|chat.not.found|kicked|not a member/i,
    'The bot may not write there: they must write to it first, or let it in again.',
  ],
  [
    /\b(401|403|unauthori[sz]ed|forbidden|invalid (token|auth)|not_authed|bad credentials|password)\b/i,
    'It refused the credentials: enter the token again.',
  ],
  [
    /\b409\b|terminated by other getUpdates|conflict/i,
    'The same bot runs elsewhere: stop it there, or make a token of its own.',
  ],
  [/settings are not complete|is missing|is needed/i, 'Enter what is missing in its settings.'],
  [/not accepted|since it was accepted/i, 'Read what it may do, and accept it.'],
  [
    /denied|requires \w+ access|refused to reach/i,
    'It tried what its manifest does not declare. Look at its permissions on the Plugins page.',
  ],
  [/no plugin "/i, 'Install the plugin, or take the channel out of gatehouse.yaml.'],
  [
    /rate.?limit|429|too many requests/i,
    'The platform asks to slow down: it goes on by itself after a while, or send it again then.',
  ],
  [
    /ENOTFOUND|ECONNREFUSED|ETIMEDOUT|fetch failed|can(.?t| ?not) be reached|network/i,
    'Check the address, and whether this machine is online.',
  ],
  [/crash|exited|ended|signal/i, 'Its last words are in its log. Restart it once the cause is mended.'],
]

/** What to do about a failure, where that can be told. */
export const mendOf = (text: string | null | undefined): string | undefined =>
  text ? MENDS.find(([pattern]) => pattern.test(text))?.[1] : undefined

/** What it means that other channels use the same account. */
export const sameAccountWords = (names: readonly string[]): string =>
  `The same account as ${names.join(' and ')}: each message would be answered twice.`

/** The first address in what a plugin says. */
export const addressIn = (text: string): string | undefined => /https?:\/\/[^\s,;]+/.exec(text)?.[0]

/** Channels that are named or switched on and do not run, so that the list of those that run does not have them. */
export const idleOf = (carriers: Plugin[], running: Channel[]): Plugin[] =>
  carriers.filter((plugin) => isChannel(plugin) && !running.some(({ name }) => name === plugin.name))

const isChannel = ({ enabled, in_configuration }: Plugin): boolean => enabled || in_configuration

/** A platform to begin with: the plugin itself, not a bot of it under another name. */
export type Platform = { plugin: Plugin; /** Names of its bots. */ bots: string[] }

/** What can be set up, those without a bot first. A program of `gatehouse.yaml` is no platform. */
export const platformsOf = (carriers: Plugin[]): Platform[] =>
  carriers.filter(({ name, plugin, origin }) => name === plugin && origin !== 'config')
    .map((plugin) => ({
      plugin,
      bots: carriers.filter((bot) => bot.plugin === plugin.plugin && isChannel(bot)).map(({ name }) => name),
    }))
    .toSorted((a, b) => Math.min(1, a.bots.length) - Math.min(1, b.bots.length))

/** A name for the next bot of a platform that is not taken. */
export function nextName(platform: string, taken: string[]): string {
  for (let number = 2;; number++) {
    const name = `${platform}-${number}`
    if (!taken.includes(name)) return name
  }
}

/** Why a channel may not have this name; undefined when it may. */
export function nameProblem(name: string, taken: string[]): string | undefined {
  if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(name)) return 'Up to 64 letters, digits, dots, _ and -, the first one no sign'
  return taken.includes(name) ? 'This name is taken' : undefined
}

export const DISPOSITIONS: { value: Disposition; label: string; hint: string }[] = [
  { value: 'allow', label: 'Answered', hint: 'The agent reads it and answers' },
  { value: 'passive', label: 'Context only', hint: 'Told to the agent with the next question of others' },
  { value: 'silent', label: 'Recorded only', hint: 'Kept, and never shown to the agent' },
  { value: 'block', label: 'Dropped', hint: 'As if it had never been written' },
]
