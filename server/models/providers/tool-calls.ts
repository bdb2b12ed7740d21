import type { ToolCall } from '../provider.ts'
import { UpstreamFailure } from './failure.ts'

/** One piece of a call as chat-completions upstreams send it; each leaves out something else. */
export type CallPiece = {
  index?: number
  id?: string | null
  function?: { name?: string | null; arguments?: string | Record<string, unknown> | null }
}

type Open = { index: number | undefined; id: string; name: string; arguments: string }

/**
 * Puts tool calls together from their pieces. Pieces belong together by index, then by id, then by being next; an
 * index that returns with another id and a name is a new call (upstreams that send whole calls, all with index 0).
 */
export function createCallAssembler() {
  const calls: Open[] = []

  const find = (piece: CallPiece): Open | undefined => {
    if (piece.index === undefined || piece.index === null) {
      if (piece.id) return calls.find((call) => call.id === piece.id)
      return piece.function?.name ? undefined : calls.at(-1)
    }
    const call = calls.findLast((open) => open.index === piece.index)
    const another = call?.id && piece.id && call.id !== piece.id && piece.function?.name
    return another ? undefined : call
  }

  return {
    add(piece: CallPiece): void {
      let call = find(piece)
      if (!call) calls.push(call = { index: piece.index ?? undefined, id: '', name: '', arguments: '' })
      if (piece.id && !call.id) call.id = piece.id
      if (piece.function?.name && !call.name) call.name = piece.function.name
      const text = piece.function?.arguments
      if (typeof text === 'string') call.arguments += text
      else if (text) call.arguments = JSON.stringify(text)
    },
    /** Characters of names and arguments so far. */
    get size(): number {
      return calls.reduce((sum, call) => sum + call.name.length + call.arguments.length, 0)
    },
    /**
     * The whole calls; missing ids are made up. Throws `UpstreamFailure` of class `invalid` when arguments are not a
     * JSON object: a call that nobody can read must not run with other arguments than the model meant.
     */
    finish(cut: boolean): ToolCall[] {
      const taken = new Set<string>()
      return calls.filter((call) => call.name || call.arguments).map((call) => {
        const call_id = call.id && !taken.has(call.id) ? call.id : `call_${crypto.randomUUID().replaceAll('-', '')}`
        taken.add(call_id)
        return { call_id, name: call.name, arguments: parseArguments(call.name, call.arguments, cut) }
      })
    },
  }
}

/** The arguments of a call as an object; empty text, `null` and JSON packed into a JSON string are understood. */
export function parseArguments(name: string, text: string, cut: boolean): Record<string, unknown> {
  let value: unknown
  try {
    value = text.trim() === '' ? {} : JSON.parse(text)
    if (typeof value === 'string') value = value.trim() === '' ? {} : JSON.parse(value)
  } catch {
    value = undefined
  }
  if (value === null) return {}
  if (name && typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>
  throw new UpstreamFailure({
    class: 'invalid',
    message: cut
      ? `The answer reached its length limit in the middle of a call of "${name}". Raise the limit of output tokens.`
      : `The model called ${name ? `"${name}"` : 'a tool without a name'} with arguments that are not a JSON object. ` +
        'Try again, or choose another model.',
  })
}
