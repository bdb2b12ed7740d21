import type { OutgoingText } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { splitText } from '../sdk/text.ts'
import { toMrkdwn } from './mrkdwn.ts'

/** Characters of a section, buttons of a row, and blocks of a message. */
const MAX_SECTION = 3000
const IN_ROW = 25
const MAX_BLOCKS = 50
const MAX_LABEL = 75
const MAX_DATA = 2000

type Block = Record<string, unknown>
type Keyboard = NonNullable<OutgoingText['inline_keyboard']>

/** A text as the parts of a message, which together may be longer than the text of an edited one. */
export function sections(content: string, max = MAX_SECTION): Block[] {
  return splitText(content, { max, unit: 'utf16' }).flatMap((piece): Block[] => {
    const text = toMrkdwn(piece) || piece
    // Signs that are escaped take more room.
    if (text.length > MAX_SECTION) return sections(piece, Math.floor(piece.length / 2))
    return [{ type: 'section', text: { type: 'mrkdwn', text }, expand: true }]
  })
}

/** A text with its buttons, row by row. */
export function withButtons(content: string, { rows }: Keyboard): Block[] {
  const buttons = rows.flatMap((row, r): Block[] => {
    const parts: Block[] = []
    for (let from = 0; from < row.length; from += IN_ROW) {
      const elements = row.slice(from, from + IN_ROW).map(({ text, callback_data }, i) => {
        if (callback_data.length > MAX_DATA) {
          throw new PluginError('invalid_request', `The data of a button is longer than ${MAX_DATA} characters`)
        }
        return {
          type: 'button',
          action_id: `button-${r}-${from + i}`,
          text: { type: 'plain_text', text: shortened(text), emoji: true },
          value: callback_data,
        }
      })
      parts.push({ type: 'actions', elements })
    }
    return parts
  })
  const blocks = [...sections(content), ...buttons]
  if (blocks.length > MAX_BLOCKS) {
    throw new PluginError('invalid_request', `With its buttons the message has more than ${MAX_BLOCKS} parts`)
  }
  return blocks
}

function shortened(label: string): string {
  if (label.length <= MAX_LABEL) return label
  let short = ''
  for (const sign of label) {
    if (short.length + sign.length >= MAX_LABEL) break
    short += sign
  }
  return `${short}…`
}
