import process from 'node:process'
import * as v from 'valibot'
import { GATEWAY_EVENTS, GatewayCommand, type GatewayEvent } from '../../shared/gateway-protocol.ts'
import { CapabilityCommand, CapabilityEvent, type ToPlugin } from '../../shared/plugin-protocol.ts'
import { linesOf, note, openStdout } from './stdio.ts'

/** A record as a plugin writes it: what has a default may be left out. */
export type Outgoing = v.InferInput<typeof GatewayEvent> | v.InferInput<typeof CapabilityEvent>

/** The two pipes to the core. */
export type Link = {
  /** Resolves when the operating system took the line. Throws a TypeError that names a bad field. */
  send(record: Outgoing): Promise<void>
  /** What the core says, until it closes our input. Lines that make no sense are answered or logged, and passed over. */
  records: AsyncGenerator<ToPlugin>
  /** Resolves when everything that was sent is out. */
  flushed(): Promise<void>
}

/** Opens stdin and stdout for records. */
export function openLink(): Link {
  const { write, flushed } = openStdout()
  const send = (record: Outgoing): Promise<void> => {
    const problem = problemOf(EVENTS[record.type]!, record)
    if (problem) return Promise.reject(new TypeError(`${record.type}: ${problem}`))
    return write(JSON.stringify(record))
  }
  return { send, records: records(send), flushed }
}

const EVENTS: Record<string, v.GenericSchema> = { ...GATEWAY_EVENTS, ...byType(CapabilityEvent.options) }
const COMMANDS: Record<string, v.GenericSchema<unknown, ToPlugin>> = {
  ...byType(GatewayCommand.options),
  ...byType(CapabilityCommand.options),
}

async function* records(send: Link['send']): AsyncGenerator<ToPlugin> {
  for await (const line of linesOf(process.stdin)) {
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      note(`A line of the core is no JSON: ${line.slice(0, 200)}`)
      continue
    }
    const { type, request_id } = (value ?? {}) as { type?: unknown; request_id?: unknown }
    const schema = typeof type === 'string' && Object.hasOwn(COMMANDS, type) ? COMMANDS[type] : undefined
    const result = schema && v.safeParse(schema, value, { abortEarly: true })
    if (result?.success) {
      yield result.output
      continue
    }
    const message = result ? wordsOf(result.issues[0]!) : `The command ${JSON.stringify(type)} is not known here`
    note(`A command was passed over: ${message}`)
    if (typeof request_id === 'string') {
      await send({ type: 'command_error', request_id, code: 'invalid_request', message })
    }
  }
}

function problemOf(schema: v.GenericSchema, record: unknown): string | undefined {
  const result = v.safeParse(schema, record, { abortEarly: true })
  return result.success ? undefined : wordsOf(result.issues[0]!)
}

function wordsOf(issue: v.BaseIssue<unknown>): string {
  const field = issue.path?.map((step) => String(step.key)).join('.') ?? ''
  return `${field} ${issue.received === 'undefined' ? 'is missing' : issue.message}`.trim()
}

function byType<S extends v.GenericSchema & { entries: { type: { literal: string } } }>(
  options: readonly S[],
): Record<string, S> {
  return Object.fromEntries(options.map((schema) => [schema.entries.type.literal, schema]))
}
