import type { ToolSpec } from '../../provider.ts'

/** What the user said, in the two forms that rules read. */
export type Said = {
  /** As it was written, without the polite words at its start. */
  text: string
  /** On one line, without polite words and closing punctuation; empty when too long to be a request. */
  line: string
}

/** What to do about it: answer at once, or call tools and answer from their results. */
export type Plan = { say: string } | { calls: PlannedCall[] }

/** A call by the tool's own dotted name. */
export type PlannedCall = { name: string; arguments: Record<string, unknown> }

/** One thing that the built-in provider understands. To add one, append it to a list in this folder. */
export type Rule = {
  id: string
  /** What it does, as a line of the help; left out for small talk. */
  summary?: string
  /** Phrases that it understands. The help shows the first two at most, the tests try all. */
  examples: [string, ...string[]]
  /** Tools, by dotted name, without which the help does not offer it. */
  needs?: string[]
  match(said: Said, tools: ToolSpec[]): Plan | undefined
}

const MAX_LINE = 500

const OPENING = new RegExp(
  '^(?:(?:hey|hi|hello|ok|okay|so|well|now|just|please|kindly|(?:can|could|would|will) you(?: please)?|' +
    "i(?:'d| would) like (?:you )?to|i want (?:you )?to|let's|go and|(?:tell me|do you know)(?= (?:wh|how)))" +
    '[,!.:]*\\s+)+(?=\\S)',
  'i',
)
const CLOSING = /(?:[\s.,;!?…]|\b(?:please|thanks|thank you)$)+$/i

/** Takes the noise of a request away: polite words, closing punctuation, curly quotes. */
export function listen(text: string): Said {
  const straight = text.replace(/[‘’]/g, "'").replace(/[“”„]/g, '"').replace(/^\s*whats\b/i, "what's").trim()
  const bare = straight.replace(OPENING, '')
  if (bare.length > MAX_LINE) return { text: bare, line: '' }
  const line = bare.replace(/\s+/g, ' ').replace(CLOSING, '')
  return { text: bare, line: line === '' ? bare : line }
}

/** A pattern for a whole line that has one of these forms. */
export const phrase = (...forms: string[]): RegExp => new RegExp(`^(?:${forms.join('|')})$`, 'i')

/** The offered tool of this name; vendors' names have `_` where ours have `.`. */
export const offered = (tools: ToolSpec[], name: string): ToolSpec | undefined =>
  tools.find((tool) => wireName(tool.name) === wireName(name))

const wireName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9_-]/g, '_')
