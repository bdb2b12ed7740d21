import * as v from 'valibot'
import { defineTool } from './define.ts'
import { evaluate, MAX_EXPRESSION } from './expression.ts'
import type { Tool } from './tool.ts'

/** `math.evaluate`: exact enough arithmetic for a model, which is bad at it. */
export const mathTool: Tool = defineTool({
  name: 'math.evaluate',
  description: 'Evaluates arithmetic: + - * / ^ and parentheses; % after a number is percent ("12.5% of 80", ' +
    '"80 + 10%"), between two numbers the remainder; sqrt abs round floor ceil min max log (base 10) ln exp sin cos ' +
    'tan (radians); pi and e. Results are rounded to 12 significant digits; whole numbers are exact.',
  effect: 'read',
  input_schema: {
    type: 'object',
    properties: {
      expression: {
        type: 'string',
        maxLength: MAX_EXPRESSION,
        description: 'For example "(3+4)*7" or "round(22/7, 3)"',
      },
    },
    required: ['expression'],
    additionalProperties: false,
  },
  input: v.strictObject({
    expression: v.pipe(
      v.string('must be text such as "(3+4)*7"'),
      v.trim(),
      v.minLength(1, 'must not be empty'),
      v.maxLength(MAX_EXPRESSION, `must have at most ${MAX_EXPRESSION} characters`),
    ),
  }),
  run: ({ expression }) => {
    const result = evaluate(expression)
    // JSON has no whole numbers of that size; as text, every digit arrives.
    return { expression, result: typeof result === 'bigint' ? String(result) : result }
  },
})
