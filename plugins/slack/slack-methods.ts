/** What a method of the mock answers, or why not. */
export type Answer = { ok: boolean; error?: string } & Record<string, unknown>
export type Posted = Record<string, unknown> & { ts: string; channel: string }
type Args = Record<string, string>

export const ME = { user: 'U0HELPER', name: 'helper', bot: 'B0HELPER', app: 'A0HELPER' }

export const no = (error: string, more: object = {}): Answer => ({ ok: false, error, ...more })

/** What is the matter with a message, as the real API says it. */
export function faultOf(args: Args, { maxText }: { maxText: number }): Answer | undefined {
  const { text = '', blocks = '[]', metadata } = args
  const list = JSON.parse(blocks) as Block[]
  if (text === '' && list.length === 0) return no('no_text')
  if (text.length > maxText) return no('msg_too_long')
  if (list.length > 50) return no('invalid_blocks')
  for (const block of list) {
    const problem = blockFault(block)
    if (problem) return no('invalid_blocks', { response_metadata: { messages: [`[ERROR] ${problem}`] } })
  }
  const ids = list.flatMap(({ elements = [] }) => elements.map(({ action_id }) => action_id))
  if (new Set(ids).size < ids.length) return no('invalid_blocks')
  if (metadata !== undefined) {
    const { event_type, event_payload } = JSON.parse(metadata) as Record<string, unknown>
    if (typeof event_type !== 'string' || typeof event_payload !== 'object') return no('invalid_metadata_format')
  }
  return undefined
}

type Block = {
  type: string
  text?: { type: string; text: string }
  elements?: { type: string; action_id: string; value: string; text: { text: string } }[]
}

function blockFault({ type, text, elements = [] }: Block): string | undefined {
  if (type === 'section') {
    if (!text?.text) return 'a section needs text'
    return text.text.length > 3000 ? 'must be less than 3001 characters' : undefined
  }
  if (type !== 'actions') return `unknown block ${type}`
  if (elements.length === 0 || elements.length > 25) return 'actions have 1 to 25 elements'
  for (const element of elements) {
    if (element.text.text.length > 75) return 'must be less than 76 characters'
    if (element.value.length > 2000) return 'must be less than 2001 characters'
  }
  return undefined
}
