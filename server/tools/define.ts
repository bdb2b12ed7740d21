import * as v from 'valibot'
import { invalid } from '../errors.ts'
import { messageOf } from '../http/refusal-words.ts'
import type { Tool, ToolContext } from './tool.ts'

/**
 * A tool whose input is checked before it runs and whose answer is JSON text, so that a model, a workflow and the
 * built-in provider read the same thing. Bad input throws `invalid_input` and names the field.
 */
export function defineTool<S extends v.GenericSchema<unknown, unknown>>(tool: {
  name: string
  description: string
  effect: Tool['effect']
  command?: string
  /** What the model is shown; `input` is what is enforced. Keep them the same. */
  input_schema: Record<string, unknown>
  input: S
  run(input: v.InferOutput<S>, context: ToolContext): object | Promise<object>
}): Tool {
  const { input, run, ...shown } = tool
  return {
    ...shown,
    run: async (given, context) => ({
      ok: true,
      text: JSON.stringify(await run(checked(input, given), context)),
    }),
  }
}

function checked<S extends v.GenericSchema<unknown, unknown>>(schema: S, given: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, given, { abortPipeEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  throw invalid(issue.path?.map((step) => String(step.key)).join('.') || 'input', messageOf(issue))
}
