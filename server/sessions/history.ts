import type { Attachment, TurnInput } from '../../shared/turn-events.ts'
import type { ContentPart, ModelMessage, ToolSpec } from '../models/provider.ts'
import type { Progress, Step } from './progress.ts'
import type { Message, SessionRow, SessionStore } from './store.ts'

/** Loads what a message carried, for the model. */
export type LoadAttachment = (attachment: Attachment) => Promise<ContentPart | undefined>

/** Rough: four characters are a token in most scripts; only used where nothing was measured. */
export const estimateTokens = (text: string): number => Math.ceil(text.length / 4)

/** The agent's own prompt, then what a client added for this session. */
export const systemPromptOf = (prompt: string, session: Pick<SessionRow, 'system_prompt'>): string =>
  [prompt, session.system_prompt].filter(Boolean).join('\n\n')

/** Characters of each tool's description as JSON; a list of them is long, and the same for most calls. */
const described = new WeakMap<ToolSpec, number>()

function toolTokens(tools: readonly ToolSpec[]): number {
  let length = 1
  for (const tool of tools) {
    const known = described.get(tool) ?? JSON.stringify(tool).length
    described.set(tool, known)
    length += known + 1
  }
  return Math.ceil(length / 4)
}

/** An image costs about this much with most vendors. */
const IMAGE_TOKENS = 1200
const PAGE = 200
/** Attachments of older turns are named, not sent again. */
const RECENT_WITH_FILES = 6

export type Assembled = {
  messages: ModelMessage[]
  /** Estimated tokens by section. */
  tokens: { system: number; tools: number; summary: number; messages: number }
  /** Whether older messages did not fit and were left out. */
  truncated: boolean
}

export type AssembleInput = {
  store: SessionStore
  session: SessionRow
  system: string
  tools: ToolSpec[]
  /** Tokens that the whole request may take. */
  budget: number
  load: LoadAttachment
  /** The turn that is being answered; its own stored messages are left out of the past. */
  turn?: { id: string; input: TurnInput; progress: Progress }
}

/** What the model sees: system prompt, summary, as much of the past as fits, and the turn so far. */
export async function assemble(of: AssembleInput): Promise<Assembled> {
  const { session, turn } = of
  const tokens = {
    system: estimateTokens(of.system),
    tools: toolTokens(of.tools),
    summary: estimateTokens(session.summary ?? ''),
    messages: 0,
  }
  const head: ModelMessage[] = [{ role: 'system', content: of.system }]
  if (session.summary) {
    head.push({ role: 'system', content: `Summary of the conversation before this point:\n\n${session.summary}` })
  }
  const present: ModelMessage[] = []
  if (turn) {
    present.push({ role: 'user', content: await userParts(turn.input.text, turn.input.attachments ?? [], of.load) })
    for (const step of turn.progress.steps) present.push(...stepMessages(step))
  }
  tokens.messages = sum(present)
  const room = of.budget - tokens.system - tokens.tools - tokens.summary - tokens.messages
  const past = await pastMessages(of, room)
  tokens.messages += past.tokens
  return { messages: [...head, ...past.messages, ...present], tokens, truncated: past.truncated }
}

async function pastMessages(of: AssembleInput, room: number) {
  const from = Math.max(of.session.history_from, of.session.visible_from)
  const groups: ModelMessage[][] = []
  let used = 0
  let truncated = false
  let before: number | undefined
  let rest: Message[] = []
  while (!truncated) {
    const page = await of.store.messages(of.session.sid, { limit: PAGE, before, from })
    before = page[0]?.mid
    const rows = [...page, ...rest]
    // A turn is taken whole or not at all: results without their calls are refused by vendors.
    const turns = groupByTurn(rows.filter((row) => row.role !== 'compaction' && row.turn_id !== of.turn?.id))
    rest = page.length === PAGE ? turns.shift() ?? [] : []
    for (const rowsOfTurn of turns.reverse()) {
      const messages = await turnMessages(rowsOfTurn, groups.length < RECENT_WITH_FILES ? of.load : undefined)
      const cost = sum(messages)
      if (used + cost > room) {
        truncated = true
        break
      }
      used += cost
      groups.push(messages)
    }
    if (page.length < PAGE) break
  }
  return { messages: groups.reverse().flat(), tokens: used, truncated }
}

function groupByTurn(rows: Message[]): Message[][] {
  const groups: Message[][] = []
  for (const row of rows) {
    const group = groups.at(-1)
    if (group && group[0]!.turn_id === row.turn_id) group.push(row)
    else groups.push([row])
  }
  return groups
}

async function turnMessages(rows: Message[], load: LoadAttachment | undefined): Promise<ModelMessage[]> {
  const out: ModelMessage[] = []
  const steps = new Map<number, Step>()
  for (const row of rows) {
    if (row.role === 'user') {
      out.push({ role: 'user', content: await userParts(row.text, row.data.attachments ?? [], load) })
      continue
    }
    let step = steps.get(row.step)
    if (!step) {
      step = { index: row.step, model: '', text: '', reasoning: '', calls: [], complete: true }
      steps.set(row.step, step)
    }
    if (row.role === 'assistant') step.text = row.text
    const tool = row.data.tool
    if (tool) {
      step.calls.push({
        call_id: tool.tool_call_id,
        name: tool.tool_name,
        arguments: tool.tool_args,
        result: { ok: !tool.tool_call_error, text: tool.result ?? '', duration_ms: tool.duration_ms },
      })
    }
  }
  for (const step of steps.values()) out.push(...stepMessages(step))
  return out
}

/** A tool's name as vendors accept it. */
export const wireName = (name: string): string => name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64)

function stepMessages(step: Step): ModelMessage[] {
  const calls = step.calls.map((call) => ({
    call_id: call.call_id,
    name: wireName(call.name),
    arguments: call.arguments,
  }))
  if (step.text === '' && calls.length === 0) return []
  const out: ModelMessage[] = [{
    role: 'assistant',
    content: step.text,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  }]
  for (const call of step.calls) {
    const result = call.result ?? { ok: false, text: 'No result.' }
    out.push({
      role: 'tool',
      call_id: call.call_id,
      name: wireName(call.name),
      content: result.text,
      ...(result.ok ? {} : { is_error: true }),
    })
  }
  return out
}

async function userParts(
  text: string,
  attachments: Attachment[],
  load: LoadAttachment | undefined,
): Promise<ContentPart[]> {
  const parts: ContentPart[] = []
  const named: string[] = []
  for (const attachment of attachments) {
    const part = load && await load(attachment)
    if (part) parts.push(part)
    if (!part || part.type !== 'text') named.push(`[Attached ${attachment.type}: ${attachment.filename}]`)
  }
  const spoken = [text, ...named].filter((line) => line !== '').join('\n')
  return [{ type: 'text', text: spoken }, ...parts]
}

function sum(messages: ModelMessage[]): number {
  let tokens = 0
  for (const message of messages) {
    tokens += 4
    if (message.role === 'user') {
      for (const part of message.content) tokens += part.type === 'text' ? estimateTokens(part.text) : IMAGE_TOKENS
      continue
    }
    tokens += estimateTokens(message.content)
    if (message.role === 'assistant' && message.tool_calls) tokens += estimateTokens(JSON.stringify(message.tool_calls))
  }
  return tokens
}
