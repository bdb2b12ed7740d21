import { setTimeout } from 'node:timers/promises'
import type { FailureClass, TurnEventBody } from '../../shared/turn-events.ts'
import type { Approvals } from '../approvals/service.ts'
import type { ModelEvent, ToolCall } from '../models/provider.ts'
import { streamWithRetries } from '../models/retry.ts'
import type { Models, ResolvedModel } from '../models/service.ts'
import type { Bus } from '../bus/bus.ts'
import { unwritable } from '../db/sql-error.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../system/log.ts'
import type { Gate, Verdict } from '../tools/gate.ts'
import type { Tools } from '../tools/service.ts'
import { createAskModel } from './ask-model.ts'
import { createBegin, tellStarted } from './begin-turn.ts'
import type { Compaction } from './compaction.ts'
import { refOf, type TurnRef } from './entries.ts'
import type { EventLog } from './event-log.ts'
import { assemble, estimateTokens, type LoadAttachment, systemPromptOf } from './history.ts'
import { closeTurn, type End } from './close-turn.ts'
import type { ResolveMarker } from './markers.ts'
import { costOf, untilAborted } from './model-call.ts'
import { advance, type Call, isAnswered, newCallId, progressOf } from './progress.ts'
import { plainDeltas, plainText } from './plain-text.ts'
import type { SessionRow, SessionStore } from './store.ts'
import { createToolProgress } from './tool-progress.ts'
import { limit, refusal, stopped } from './turn-ends.ts'
import type { TurnRow, TurnStore } from './turn-store.ts'

export type { StopReason } from './turn-ends.ts'

/** Limits of one turn, from the configuration. */
export type TurnLimits = {
  max_steps: number
  max_output_tokens?: number | undefined
  max_cost_usd_per_turn?: number | undefined
  compact_at_percent: number
}

export type RunTurnDeps = {
  store: SessionStore
  turns: TurnStore
  events: EventLog
  models: Models
  tools: Tools
  gate: Gate
  approvals: Approvals
  compaction: Compaction
  load: LoadAttachment
  /** Files that replies of a handle may show. */
  resolveMarker: (handle: string, path: string) => ReturnType<ResolveMarker>
  systemPrompt: () => string
  /** By where the session comes from: a sub-agent has less. */
  limits: (origin: string) => TurnLimits
  bus: Bus
  log: Log
  now: () => number
}

const CHANGED =
  'This tool changed while the call waited for a yes, so it was not run. Call it again to have it asked about.'
/** Between two tries to write on a full disk. */
const RETRY_MS = 1000

/**
 * Answers one turn: model call, tools, model call, … until the answer is final, a limit is met or a question must
 * be answered first. All state is in the log, so that a suspended turn goes on from its events.
 */
export function createRunTurn(deps: RunTurnDeps) {
  const { store, turns, events, models, tools, now } = deps
  const begin = createBegin(deps)

  /** `begun` names the model that answers, when the start of the turn is written already and nothing after it. */
  return async function runTurn(
    turn: TurnRow,
    session: SessionRow,
    signal: AbortSignal,
    begun?: ResolvedModel,
  ): Promise<'finished' | 'suspended'> {
    const ref: TurnRef = refOf(session, turn.id)
    const progress = begun
      ? { ...progressOf([]), started: true }
      : progressOf((await events.turnEvents(ref)).map((stored) => stored.e))
    const emit = (...bodies: TurnEventBody[]): void => {
      for (const body of bodies) advance(progress, body)
      events.append(ref, bodies)
    }
    let model = begun
    if (begun) tellStarted(deps.bus, ref, turn.input, begun)

    try {
      if (!model) {
        model = await models.resolve(turn.model ?? session.model)
        if (!await begin(turn, ref, progress, model)) return 'finished'
      }
      return await converse(model)
    } catch (error) {
      // The disk, not the turn: the runner goes on with it once there is room.
      if (unwritable(error)) throw error
      if (signal.aborted) return await finish(stopped(signal))
      if (error instanceof AppError) {
        if (!progress.started && !await begin(turn, ref, progress, undefined)) return 'finished'
        return await finish({ state: 'failed', error: { class: 'invalid', message: error.message } })
      }
      deps.log.error('turn.crashed', 'A turn failed inside the server', {
        turn_id: turn.id,
        error: (error as Error).stack ?? String(error),
      })
      return await finish({
        state: 'failed',
        error: {
          class: 'internal',
          message: 'Something went wrong in the server while answering; its log has the details. Try again.',
        },
      })
    }

    async function converse(resolved: ResolvedModel): Promise<'finished' | 'suspended'> {
      const limits = deps.limits(session.origin)
      for (;;) {
        if (signal.aborted) return await finish(stopped(signal))
        const last = progress.steps.at(-1)
        const open = last?.calls.filter((call) => !call.result) ?? []
        if (open.length > 0) {
          if (await runCalls(open) === 'suspended') return 'suspended'
          continue
        }
        if (isAnswered(progress)) return await finish({ state: 'completed' })
        if (progress.steps.length >= limits.max_steps) {
          return await finish(
            limit(
              `The turn reached its limit of ${limits.max_steps} steps. Say "go on" to continue, or raise agent.max_steps in the configuration.`,
            ),
          )
        }
        if (limits.max_cost_usd_per_turn !== undefined && progress.cost_usd >= limits.max_cost_usd_per_turn) {
          return await finish(
            limit(
              `The turn reached its cost limit of $${limits.max_cost_usd_per_turn}. Raise agent.max_cost_usd_per_turn in the configuration to allow more.`,
            ),
          )
        }
        const failure = await callModel(resolved, limits)
        if (failure) return await finish(signal.aborted ? stopped(signal) : { state: 'failed', error: failure })
      }
    }

    /** One model call, streamed into the log; returns how it failed, if it did. */
    async function callModel(resolved: ResolvedModel, limits: TurnLimits): Promise<End['error']> {
      for (let attempt = 0;; attempt++) {
        const request = await prepare(resolved, limits, attempt > 0)
        const index = progress.steps.length
        let begun = false
        const begin = (): void => {
          if (!begun) emit({ type: 'step', index, model: resolved.runtime_id })
          begun = true
        }
        // Written before anybody sees it: when this process ends, a question whose answer had begun is not asked again.
        const show = async (first: TurnEventBody): Promise<void> => {
          const bodies: TurnEventBody[] = [{ type: 'step', index, model: resolved.runtime_id }, first]
          // On a full disk the model waits, rather than being asked and paid again.
          for (let written = false; !written;) {
            written = await events.tell(ref, bodies).then(() => true, (error) => {
              if (!unwritable(error) || signal.aborted) throw error
              return setTimeout(RETRY_MS, false)
            })
          }
          for (const body of bodies) advance(progress, body)
          begun = true
        }
        const plain = plainDeltas()
        const calls: ToolCall[] = []
        let end: Extract<ModelEvent, { type: 'finish' | 'failed' }> | undefined
        const onRetry = (retry: { attempt: number; after_ms: number; reason: string; class: FailureClass }) =>
          emit({ type: 'retry', ...retry })
        for await (const event of untilAborted(streamWithRetries(resolved, request, signal, onRetry), signal)) {
          if (event.type === 'finish' || event.type === 'failed') end = event
          else if (event.type === 'tool_call') calls.push(event)
          else {
            const delta = plain(event.delta)
            if (delta === '') continue
            if (begun) emit({ type: event.type, delta })
            else await show({ type: event.type, delta })
          }
        }
        if (end?.type === 'failed' && end.class === 'context_overflow' && attempt === 0 && !begun) {
          const compacted = await deps.compaction.run(ref, session, resolved, signal, emit)
          if (compacted) {
            Object.assign(session, compacted)
            continue
          }
        }
        if (!end && signal.aborted || end?.type === 'failed' && signal.aborted) {
          if (begun) {
            recordUsage(resolved, {
              input_tokens: 0,
              output_tokens: estimateTokens(progress.steps.at(-1)?.text ?? ''),
              estimated: true,
            }, true)
          }
          return { class: 'network', message: 'Stopped.' }
        }
        if (!end || end.type === 'failed') {
          if (end?.usage) recordUsage(resolved, end.usage, true)
          return {
            class: end?.class ?? 'network',
            message: end?.message ?? 'The model ended its answer without a word.',
          }
        }
        begin()
        for (const call of calls) {
          emit({
            type: 'tool_call',
            call_id: newCallId(progress, call.call_id),
            ...tools.meant(call),
          })
        }
        recordUsage(resolved, end.usage)
        if (end.reason === 'length') {
          emit({ type: 'notice', text: 'The answer was cut at the output limit of the model.' })
        }
        if (end.reason === 'content_filter') emit({ type: 'notice', text: 'The provider withheld part of the answer.' })
        return undefined
      }
    }

    async function prepare(resolved: ResolvedModel, limits: TurnLimits, compacted: boolean) {
      const specs = tools.offer(progress.steps.flatMap((step) => step.calls))
      const output = Math.min(
        limits.max_output_tokens ?? resolved.max_output_tokens ?? 4096,
        Math.floor(resolved.context_window / 4),
      )
      const budget = resolved.context_window - output
      const make = () =>
        assemble({
          store,
          session,
          system: systemPromptOf(deps.systemPrompt(), session),
          tools: specs,
          budget,
          load: deps.load,
          turn: { id: turn.id, input: turn.input, progress },
        })
      let history = await make()
      const used = Object.values(history.tokens).reduce((sum, tokens) => sum + tokens, 0)
      if (!compacted && (history.truncated || used > resolved.context_window * limits.compact_at_percent / 100)) {
        const folded = await deps.compaction.run(ref, session, resolved, signal, emit)
        if (folded) {
          Object.assign(session, folded)
          history = await make()
        }
      }
      return {
        model: resolved.model,
        messages: history.messages,
        ...(specs.length > 0 ? { tools: specs } : {}),
        ...(limits.max_output_tokens ?? resolved.max_output_tokens ? { max_output_tokens: output } : {}),
        cache_key: session.id,
      }
    }

    function recordUsage(
      resolved: ResolvedModel,
      usage: Extract<ModelEvent, { type: 'finish' }>['usage'],
      cut?: true,
    ): void {
      const cost = costOf(resolved, usage)
      emit({ type: 'usage', model: resolved.runtime_id, usage, cost_usd: cost, ...(cut ? { cut } : {}) })
    }

    async function runCalls(open: Call[]): Promise<'done' | 'suspended'> {
      const allowed: Call[] = []
      const questions: { call: Call; verdict: Verdict }[] = []
      for (const call of open) {
        const tool = tools.find(call.name)
        if (!tool) settle(call, { ok: false, text: `There is no tool called ${call.name}.` }, 0)
        else if (call.decision) {
          if (!call.decision.startsWith('allow')) settle(call, { ok: false, text: refusal(call) }, 0)
          // Whoever said yes saw another tool than this one is by now.
          else if (tool.ask !== undefined && tool.ask !== call.asked_for) settle(call, { ok: false, text: CHANGED }, 0)
          else allowed.push(call)
        } else if (!call.approval_id) {
          const verdict = await deps.gate.judge({
            tool,
            arguments: call.arguments,
            caller: turn.caller,
            session,
            turn_id: turn.id,
            call_id: call.call_id,
          })
          if (verdict.decision === 'allow') allowed.push(call)
          else if (verdict.decision === 'deny') settle(call, { ok: false, text: `Not allowed: ${verdict.reason}` }, 0)
          else questions.push({ call, verdict })
        }
      }
      const effects = allowed.filter((call) => tools.find(call.name)?.effect !== 'read')
      // What acts is on disk before it runs, so that a crash can't make it run twice.
      if (effects.length > 0) await events.flush()
      const reads = allowed.filter((call) => !effects.includes(call))
      await Promise.all(reads.map((call) => runCall(call)))
      for (const call of effects) if (!signal.aborted) await runCall(call)
      // And so is what it did, before the model goes on from it.
      if (effects.length > 0) await events.flush()
      if (signal.aborted || questions.length === 0) return 'done'

      await events.commit(async (tx) => {
        const asked = await deps.approvals.ask(
          tx,
          ref,
          questions.map(({ call, verdict: { reason, patterns } }) => ({
            call_id: call.call_id,
            tool: call.name,
            arguments: call.arguments,
            reason,
            patterns,
          })),
        )
        await turns.update(tx, turn.id, { state: 'awaiting_approval' })
        return { result: undefined, turn: ref, events: asked }
      })
      deps.approvals.announce(ref)
      return 'suspended'
    }

    async function runCall(call: Call): Promise<void> {
      const started = now()
      const going = createToolProgress(call.call_id, emit)
      const context = {
        caller: turn.caller,
        session_id: session.id,
        turn_id: turn.id,
        call_id: call.call_id,
        signal,
        progress: going.tell,
        ...(model ? { askModel: asking(model, call) } : {}),
        ...(call.decision_reason ? { answer: call.decision_reason } : {}),
      }
      // A server may be removed while a call of its tools waits for its turn.
      const tool = tools.find(call.name)
      if (!tool) return settle(call, { ok: false, text: `There is no tool called ${call.name} any more.` }, 0)
      const output = await tools.run(tool, call.arguments, context)
      going.end()
      settle(call, output, now() - started)
    }

    function asking(model: ResolvedModel, { call_id }: Call) {
      const { max_cost_usd_per_turn: maxCostUsd } = deps.limits(session.origin)
      const { gate } = deps
      return createAskModel({
        model,
        gate,
        caller: turn.caller,
        session,
        turn_id: turn.id,
        call_id,
        progress,
        maxCostUsd,
        emit,
        signal,
      })
    }

    function settle(call: Call, output: { ok: boolean; text: string }, duration: number): void {
      emit({
        type: 'tool_result',
        call_id: call.call_id,
        name: call.name,
        ok: output.ok,
        result: plainText(output.text),
        duration_ms: duration,
      })
    }

    async function finish(end: End): Promise<'finished'> {
      await closeTurn(deps, turn, ref, progress, end, model?.runtime_id ?? null)
      return 'finished'
    }
  }
}
