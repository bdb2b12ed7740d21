import { arithmeticIn } from './arithmetic.ts'
import { inline } from './markdown.ts'
import { phrase, type Rule } from './rule.ts'
import { zoneOf } from './zones.ts'

const MODELS = phrase(
  '\\/?(?:(?:list|show)(?: me)?(?: all)?(?: (?:the|my|your))?(?: (?:available|connected))? )?models',
  '(?:which|what) models (?:are there|are available|are connected|do (?:you|i|we) have|can i use)',
)
const TIME = phrase(
  "(?:(?:(?:what(?:'s| is)|tell me)(?: the)? )?(?:the )?(?:current )?(?:local )?" +
    '(?:time|date|day)(?: and (?:time|date))?|' +
    'what (?:time|day|date)(?: of the week)? (?:is it|it is)|' +
    "today's date|what(?:'s| is) today(?:'s date)?|what (?:day|date) is today|now)" +
    '(?: (?:is it|right now|now|today))*(?: (?:in|at|for) (.+?))?(?: (?:right now|now|today))?',
)

/** Rules about the time, arithmetic and the models that are connected. */
export const systemRules: Rule[] = [
  {
    id: 'time',
    summary: 'Tell the time and date, also elsewhere',
    needs: ['time.now'],
    examples: [
      'what time is it in Tokyo?',
      "what's the date today?",
      'what time is it?',
      'time in New York',
      'what day is it?',
      'what is the current time in Europe/Berlin right now',
    ],
    match: ({ line }) => {
      const match = TIME.exec(line)
      if (!match) return undefined
      const place = match[1]
      if (place === undefined) return { calls: [{ name: 'time.now', arguments: {} }] }
      const timezone = zoneOf(place)
      if (timezone) return { calls: [{ name: 'time.now', arguments: { timezone } }] }
      return {
        say: `I don't know the time zone of “${inline(place)}”. Name a larger city or a zone, such as ` +
          '`what time is it in Asia/Tokyo`.',
      }
    },
  },
  {
    id: 'math',
    summary: 'Do arithmetic',
    needs: ['math.evaluate'],
    examples: [
      'what is 12.5% of 80?',
      '(3+4)*7',
      '2^10',
      'sqrt(2)',
      'calculate 1,200 times 3',
      'what is twenty one plus two?',
      "what's the square root of 16",
      '80 + 10%',
      'how much is 5 squared =',
    ],
    match: ({ line }) => {
      const expression = arithmeticIn(line)
      return expression ? { calls: [{ name: 'math.evaluate', arguments: { expression } }] } : undefined
    },
  },
  {
    id: 'models',
    summary: 'List the connected models',
    needs: ['models.list'],
    examples: ['list models', 'which models are available?', 'show me the models'],
    match: ({ line }) => (MODELS.test(line) ? { calls: [{ name: 'models.list', arguments: {} }] } : undefined),
  },
]
