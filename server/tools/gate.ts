import type { Tool } from './tool.ts'

/** What the gate says of one call; `ask` waits for the owner. */
export type Verdict = { decision: 'allow' | 'ask' | 'deny'; reason: string }

export type GateInput = {
  tool: Tool
  arguments: Record<string, unknown>
  handle: string
  sid: number
}

export type Gate = { judge(call: GateInput): Promise<Verdict> }

/**
 * The one place that decides whether a call may run (design §6): what only reads is allowed, everything else asks,
 * unless the owner gave a standing yes for this session or for good.
 */
export function createGate(deps: { granted(handle: string, sid: number, tool: string): Promise<boolean> }): Gate {
  return {
    async judge({ tool, handle, sid }) {
      if (tool.ask) return { decision: 'ask', reason: tool.ask }
      if (tool.effect === 'read') return { decision: 'allow', reason: 'It only reads.' }
      if (await deps.granted(handle, sid, tool.name)) {
        return { decision: 'allow', reason: 'You allowed this tool before.' }
      }
      const reason = tool.effect === 'write' ? 'It changes your data.' : 'It acts outside of Gatehouse.'
      return { decision: 'ask', reason }
    },
  }
}
