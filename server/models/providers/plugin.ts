import * as v from 'valibot'
import { MAX_LINE_BYTES } from '../../../shared/gateway-protocol.ts'
import { TextPart, TextResult } from '../../../shared/plugin-protocol.ts'
import type { FailureClass } from '../../../shared/turn-events.ts'
import { AppError } from '../../errors.ts'
import type { ModelEvent, ModelProvider, ModelRequest, PluginModels } from '../provider.ts'
import { estimated } from './usage.ts'

/** Room for the rest of the line that a request travels in. */
const ENVELOPE_BYTES = 4096
const SILENT_MS = 120_000
/** Parts that nobody has read yet; a plugin that is further ahead is not answering but flooding. */
const MAX_WAITING = 10_000

/** Codes of plugins, and what follows from them. */
const CLASSES: Record<string, FailureClass> = {
  rate_limited: 'rate_limited',
  overloaded: 'overloaded',
  back_pressure: 'overloaded',
  unauthorized: 'auth',
  context_overflow: 'context_overflow',
  invalid_request: 'invalid',
  not_connected: 'network',
  gone: 'network',
  timeout: 'network',
}

/** Models of a plugin: another process, whose every part is checked. `find` gives it while it runs. */
export function createPluginProvider(plugin: string, find: () => PluginModels | undefined): ModelProvider {
  const gone = `The plugin ${plugin}, which this model belongs to, is not running. See why on the page Plugins, or ` +
    'choose another model.'

  return {
    listModels: () => {
      const models = find()?.models
      return models ? Promise.resolve(models) : Promise.reject(new AppError('bad_gateway', gone))
    },

    async *stream(request, signal) {
      const provider = find()
      if (!provider) return yield { type: 'failed', class: 'network', message: gone }
      if (new TextEncoder().encode(JSON.stringify(request)).length > MAX_LINE_BYTES - ENVELOPE_BYTES) {
        const message = `The conversation is more than the plugin ${plugin} can be sent at once (1 MiB). Shorten it ` +
          'with /compact, or leave out large files.'
        return yield { type: 'failed', class: 'context_overflow', message }
      }
      yield* answerOf(provider, request, signal)
    },
  }
}

async function* answerOf(
  provider: PluginModels,
  request: ModelRequest,
  signal: AbortSignal,
): AsyncIterable<ModelEvent> {
  const waiting: ModelEvent[] = []
  const cut = new AbortController()
  let last: ModelEvent | undefined
  let wake = () => {}
  let characters = 0
  let called = false
  let silence: ReturnType<typeof setTimeout> | undefined

  const fail = (kind: FailureClass, what: string, retry_after_ms?: number): ModelEvent => ({
    type: 'failed',
    class: kind,
    message: signal.aborted ? 'aborted' : `${provider.label}: ${what}`,
    ...(retry_after_ms === undefined ? {} : { retry_after_ms }),
    ...(characters === 0 ? {} : { usage: estimated(request, characters) }),
  })
  const end = (event: ModelEvent): void => {
    last ??= event
    clearTimeout(silence)
    cut.abort(new Error('no longer wanted'))
    wake()
  }
  const listen = (): void => {
    clearTimeout(silence)
    silence = setTimeout(() => end(fail('network', `said nothing for ${SILENT_MS / 1000} s. Try again.`)), SILENT_MS)
  }

  function onPart(said: unknown): void {
    if (last) return
    const parsed = v.safeParse(TextPart, said)
    if (!parsed.success) return end(fail('internal', 'sent a part that is no text, reasoning or whole tool call.'))
    const part = parsed.output
    if (part.type === 'tool_call') called = true
    else characters += part.delta.length
    if (waiting.push(part) > MAX_WAITING) return end(fail('internal', 'sent more than can be read. It was stopped.'))
    listen()
    wake()
  }

  function finished(output: unknown): void {
    const parsed = v.safeParse(TextResult, output ?? {})
    if (!parsed.success) return end(fail('internal', 'ended its answer without a reason and usage that can be read.'))
    const { reason = called ? 'tool_calls' : 'stop', usage } = parsed.output
    end({ type: 'finish', reason, usage: usage ?? estimated(request, characters) })
  }

  listen()
  provider.generate(request, { signal: AbortSignal.any([signal, cut.signal]), onPart }).then(
    finished,
    (error: { code?: string; message?: string; retry_after_ms?: number }) =>
      end(fail(
        signal.aborted ? 'network' : CLASSES[error.code ?? ''] ?? 'internal',
        error.message || 'failed without a word of why.',
        error.retry_after_ms,
      )),
  )
  try {
    for (;;) {
      const event = waiting.shift()
      if (event) yield event
      else if (last) return yield last
      else await new Promise<void>((resolve) => wake = resolve)
    }
  } finally {
    end(fail('network', 'was not listened to any more.'))
  }
}
