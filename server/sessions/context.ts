import type { SessionContext } from '../../shared/sessions.ts'
import type { Models } from '../models/service.ts'
import type { Tools } from '../tools/service.ts'
import { estimateTokens, systemPromptOf } from './history.ts'
import type { SessionRow, SessionStore } from './store.ts'

type Section = SessionContext['sections'][number]

/** What fills the window of the model that answers this session: measured where a call was made, else estimated. */
export async function contextOf(
  deps: { store: SessionStore; models: Models; tools: Tools; systemPrompt: () => string },
  session: SessionRow,
): Promise<SessionContext> {
  const [model, totals, length] = await Promise.all([
    deps.models.resolve(session.model).catch(() => deps.models.resolve(null)),
    deps.store.callTotals(session.sid),
    deps.store.historyLength(session.sid, Math.max(session.history_from, session.visible_from)),
  ])
  const base = {
    session_id: session.id,
    model: model.runtime_id,
    model_label: model.label,
    window_source: model.window_source,
  }
  if (length === 0 && !session.summary) {
    return { ...base, sections: [], context_window: totals.turns === 0 ? 0 : model.context_window }
  }
  const window = model.context_window
  const system = estimateTokens(systemPromptOf(deps.systemPrompt(), session))
  const tools = estimateTokens(JSON.stringify(deps.tools.offer()))
  const summary = estimateTokens(session.summary ?? '')
  const messages = Math.ceil(length / 4)
  const used = system + tools + summary + messages
  const free = Math.max(0, window - used)
  const section = (key: Section['key'], label: string, tokens: number): Section => ({
    key,
    label,
    tokens,
    pct: Math.round(tokens / window * 1000) / 10,
  })
  return {
    ...base,
    context_window: window,
    used_tokens: used,
    free_tokens: free,
    used_pct: Math.min(100, Math.round(used / window * 1000) / 10),
    ...(totals.last_input_tokens === null ? {} : { measured_input_tokens: totals.last_input_tokens }),
    sections: [
      section('system', 'System prompt', system),
      section('tools', 'Tools', tools),
      section('messages', 'Messages', messages),
      ...(summary > 0 ? [section('summary', 'Summary', summary)] : []),
      section('free', 'Free', free),
    ],
    cost_usd: totals.cost_usd,
    total_input_tokens: totals.input_tokens,
    total_output_tokens: totals.output_tokens,
    cache_read_tokens: totals.cache_read_tokens,
    reasoning_tokens: totals.reasoning_tokens,
    pricing_available: model.price !== null,
    turns: totals.turns,
  }
}
