import * as v from 'valibot'
import { defineTool } from './define.ts'
import type { Tool } from './tool.ts'

const Line = (max: number) =>
  v.pipe(
    v.string('must be text'),
    v.trim(),
    v.minLength(1, 'must not be empty'),
    v.maxLength(max, `must have at most ${max} characters`),
  )

/**
 * `ask_user`: a question to the person, in the middle of a turn. It waits as an approval does, durably, and what is
 * written with the yes is the answer.
 */
export const askUserTool: Tool = {
  ...defineTool({
    name: 'ask_user',
    description: 'Asks the person a question that you need answered to go on, and waits for the answer.',
    effect: 'read',
    input_schema: {
      type: 'object',
      properties: {
        question: { type: 'string', maxLength: 2000 },
        choices: { type: 'array', items: { type: 'string' }, maxItems: 12, description: 'Likely answers' },
      },
      required: ['question'],
      additionalProperties: false,
    },
    input: v.strictObject({
      question: Line(2000),
      choices: v.optional(
        v.pipe(v.array(Line(300), 'must be a list'), v.maxLength(12, 'has more than 12 choices')),
        [],
      ),
    }),
    run: ({ choices }, { answer }) => {
      if (!answer) return { answered: false, note: 'They let you go on without an answer.' }
      // "2" is quickly typed in a terminal or on a phone.
      const number = /^\d{1,2}$/.test(answer) && !choices.includes(answer) ? Number(answer) : 0
      return { answered: true, answer: choices[number - 1] ?? answer }
    },
  }),
  ask: 'The agent has a question for you.',
}
