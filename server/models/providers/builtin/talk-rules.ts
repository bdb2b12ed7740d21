import { code, inline } from './markdown.ts'
import { phrase, type Rule } from './rule.ts'

/** Said wherever a person might take the rules for more than they are. */
export const WHAT_I_AM = 'I am the built-in assistant: a set of rules, not a language model.'

/** How to get a model; the same words everywhere. */
export const HOW_TO_CONNECT =
  'To talk about anything, connect a model: open **Settings > Models** and add a provider (OpenAI, Anthropic, ' +
  'OpenRouter, Ollama or anything that speaks the same protocol). Or set `OPENAI_API_KEY` or `ANTHROPIC_API_KEY`, or ' +
  'have Ollama running, when the server starts for the first time.'

const HELLO =
  `Hello! ${WHAT_I_AM} I can find and quote your notes and conversations, make notes, calculate, tell the ` +
  'time and run tools. Say `help` for examples, or `connect a model` to talk freely.'

const TOOLS = phrase(
  '\\/?(?:(?:list|show)(?: me)?(?: all)?(?: (?:the|your|my))? )?tools',
  '(?:which|what) tools (?:are there|are available|do (?:you|i|we) have|can (?:you|i) (?:use|run))',
)
const CONNECT = phrase(
  '(?:how (?:do|can|to|should)(?: i| we| you)? )?(?:can i |i want to )?' +
    '(?:connect|add|set ?up|configure|install|use|enable)(?: (?:a|an|the|my|to|with))* ?' +
    '(?:language |ai |llm |real |other |different |new )*' +
    '(?:models?|llms?|providers?|openai|anthropic|claude|chatgpt|gpt|gemini|ollama|openrouter|api)' +
    '(?: (?:api )?keys?| models?)?',
)
const IDENTITY = phrase(
  '(?:who|what) (?:are you|is this)(?: exactly)?',
  '(?:which|what)(?: language| ai)? model (?:are you|is this|am i (?:using|talking to))',
  'are you (?:a |an |the )?(?:real )?(?:ai|llm|(?:large )?language model|model|chatgpt|gpt|claude|gemini|human|' +
    'person|robot|bot|chatbot|assistant)',
  "what(?:'s| is) your name|tell me about yourself",
)
const GREETING = phrase(
  '(?:hello|hi|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day))?' +
    '(?: ?(?:there|gatehouse|everyone|again))?[,.! ]*' +
    "(?:how are you(?: doing)?(?: today)?|how's it going|what's up)?",
)
const NICE = '(?:ok|okay|great|cool|nice|perfect|good|awesome)'
const THANKS = phrase(
  `(?:${NICE}[,.! ]+)*(?:thanks?(?: you)?(?: (?:a lot|so much|very much))?|thx|cheers|bye|goodbye|good night|${NICE})`,
)

/** Small talk, and questions about this assistant. Help itself is answered in `intents.ts`, which knows all rules. */
export const talkRules: Rule[] = [
  {
    id: 'tools',
    summary: 'List the tools',
    examples: ['list tools', 'what tools do you have?'],
    match: ({ line }, tools) => {
      if (!TOOLS.test(line)) return undefined
      if (tools.length === 0) return { say: 'No tools are offered in this conversation.' }
      const rows = tools.slice(0, 100).map((tool) => `- ${code(tool.name)}: ${inline(shortly(tool.description))}`)
      return { say: `I can run these tools; say \`run NAME {"input": "as JSON"}\`.\n\n${rows.join('\n')}` }
    },
  },
  {
    id: 'connect',
    summary: 'Tell how to connect a model',
    examples: ['how do I connect a model?', 'add an OpenAI key', 'can I use Ollama?'],
    match: ({ line }) => (CONNECT.test(line) ? { say: HOW_TO_CONNECT } : undefined),
  },
  {
    id: 'identity',
    examples: ['who are you?', 'are you a language model?', 'what model is this?', 'are you ChatGPT?'],
    match: ({ line }) =>
      IDENTITY.test(line)
        ? {
          say: `${WHAT_I_AM} I work without a key and without a network; say \`help\` for more.\n\n${HOW_TO_CONNECT}`,
        }
        : undefined,
  },
  {
    id: 'greeting',
    examples: ['hello', 'Hi there!', 'good morning', 'Hey, how are you?'],
    match: ({ line }) => (line !== '' && GREETING.test(line) ? { say: HELLO } : undefined),
  },
  {
    id: 'thanks',
    examples: ['thanks!', 'thank you very much', 'great, thanks', 'ok'],
    match: ({ line, text }) => {
      if (!THANKS.test(line)) return undefined
      return { say: /thank|thx|cheers/i.test(text) ? 'You are welcome.' : 'All right.' }
    },
  },
]

/** The first sentence of a description, or as much of it as fits on a line. */
function shortly(description: string): string {
  const sentence = description.split(/(?<=[.!?])\s/)[0] ?? ''
  return sentence.length <= 160 ? sentence : `${sentence.slice(0, 160).replace(/\s+\S*$/, '')}…`
}
