import type { ToolProgress, TurnEventBody } from '../../shared/turn-events.ts'
import { plainText } from './plain-text.ts'

/** Between two events of one call; what comes in between is outdated by the time that anybody could read it. */
const GAP_MS = 500
const MAX_MESSAGE = 500

/**
 * Progress of one call for its turn: the first at once, then the newest twice a second at most, however often the tool
 * tells. `end` comes with the result; what a tool tells later is lost.
 */
export function createToolProgress(callId: string, emit: (event: TurnEventBody) => void) {
  let newest: ToolProgress | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let ended = false
  let furthest = -Infinity

  function send(): void {
    timer = undefined
    if (!newest || ended) return
    emit({ type: 'tool_progress', call_id: callId, ...newest })
    newest = undefined
    timer = setTimeout(send, GAP_MS)
  }

  return {
    tell({ progress, total, message }: ToolProgress): void {
      if (ended || !Number.isFinite(progress) || progress < furthest) return
      furthest = progress
      newest = {
        progress,
        ...(total !== undefined && Number.isFinite(total) && total > 0 ? { total } : {}),
        ...(message ? { message: plainText(message.slice(0, MAX_MESSAGE)) } : {}),
      }
      if (timer === undefined) send()
    },
    end(): void {
      ended = true
      clearTimeout(timer)
    },
  }
}
