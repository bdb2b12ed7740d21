import type { InlineKeyboard } from '../../shared/gateway-protocol.ts'
import { beginning } from './split.ts'

const MAX_CHOICES = 8
const CHOICE = /\[CHOICE:([^\]\n]{1,2000})\]/g
/** A marker that is still being written. */
const UNFINISHED = /\[(?:CHOICE|IMAGE|FILE|VOICE|VIDEO)?(?::[^\]\n]*)?$/

/** Takes `[CHOICE: a | b]` out of a reply (spec openagent-api §1.11); of several, all are offered together. */
export function extractChoices(text: string): { text: string; choices: string[] } {
  const choices: string[] = []
  const rest = text.replace(CHOICE, (_, list: string) => {
    choices.push(...list.split('|').map((choice) => beginning(choice.trim(), 100)).filter(Boolean))
    return ''
  })
  if (choices.length === 0) return { text, choices }
  return { text: rest.replace(/\n{3,}/g, '\n\n').trim(), choices: choices.slice(0, MAX_CHOICES) }
}

/** What can be shown of a reply while it is written. */
export const withoutMarkers = (text: string): string => text.replace(CHOICE, '').replace(UNFINISHED, '').trimEnd()

/** One button below the other; what comes back when one is pressed is its number. */
export const choiceButtons = (prefix: string, choices: readonly string[]): InlineKeyboard => ({
  rows: choices.map((text, i) => [{ text, callback_data: `${prefix}:${i}` }]),
})

/** For channels without buttons. */
export const choiceList = (choices: readonly string[]): string =>
  choices.map((choice, i) => `${i + 1}. ${choice}`).join('\n')
