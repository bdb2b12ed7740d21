import type { InlineKeyboard } from '../../shared/gateway-protocol.ts'

const BUTTONS = 3
const BUTTON_TITLE = 20
const BUTTON_BODY = 1024
const ROWS = 10
const ROW_TITLE = 24
const ROW_DESCRIPTION = 72
const ROW_ID = 200
const LIST_BODY = 4096

type Choice = { text: string; callback_data: string }
type Interactive = { body: number; action: { type: 'button' | 'list'; action: Record<string, unknown> } }

/**
 * Buttons as WhatsApp has them: three with short words, else a list of ten; `body` is the longest text above them.
 * Undefined when they fit neither.
 */
export function choicesOf({ rows }: InlineKeyboard): Interactive | undefined {
  const choices = rows.flat()
  const titles = new Set(choices.map(({ text }) => text.trim()))
  const ids = new Set(choices.map(({ callback_data }) => callback_data))
  const whole = titles.size === choices.length && ids.size === choices.length && !titles.has('') && choices.length > 0
  if (!whole || choices.some(({ callback_data }) => callback_data.trim() === '' || callback_data.length > ROW_ID)) {
    return undefined
  }
  if (choices.length <= BUTTONS && choices.every(({ text }) => text.trim().length <= BUTTON_TITLE)) {
    const buttons = choices.map(({ text, callback_data }) => ({
      type: 'reply',
      reply: { id: callback_data, title: text.trim() },
    }))
    return { body: BUTTON_BODY, action: { type: 'button', action: { buttons } } }
  }
  if (choices.length > ROWS || choices.some(({ text }) => text.trim().length > ROW_DESCRIPTION)) return undefined
  return {
    body: LIST_BODY,
    action: { type: 'list', action: { button: '▾', sections: [{ rows: choices.map(rowOf) }] } },
  }
}

/** Long words stand below their beginning. */
function rowOf({ text, callback_data }: Choice): Record<string, string> {
  const words = text.trim()
  return words.length <= ROW_TITLE
    ? { id: callback_data, title: words }
    : { id: callback_data, title: `${cut(words, ROW_TITLE - 1)}…`, description: words }
}

/** Not within a character. */
const cut = (words: string, max: number): string => words.slice(0, max).replace(/[\ud800-\udbff]$/, '').trimEnd()

/** The same in words, where buttons can't be. */
export const choicesInWords = ({ rows }: InlineKeyboard): string =>
  rows.flat().map(({ text }) => `• ${text.trim()}`).join('\n')
