import type { ToolSpec } from '../../provider.ts'
import { offered, phrase, type Plan, type Rule } from './rule.ts'

const VERB = '(?:search|find|look(?: up| for)?|grep|quote|show me|get me|tell me)(?: and quote)?(?: for)?'
const NOTES = '(?:(?:my|the|our|all) )*(?:notes|vault|note)'
const TALKS = '(?:(?:my|the|our|all|past|old|earlier|previous) )*(?:conversations?|chats?|sessions?|history|messages)'
const BOTH = `(?:${NOTES} (?:and|or) ${TALKS}|${TALKS} (?:and|or) ${NOTES})`

const SEARCH_IN = '(?:search|look|find|grep|quote)(?: in| through)?'
const FOR = '(?:(?:for|about|on) )?'

const DID = '(?:(?:what|when|where) )?(?:do|did|have|had) (?:i|we|you) (?:ever )?' +
  '(?:write|written|say|said|note|noted|know|talk|talked|discuss|discussed|decide|decided|mention|mentioned|remember)' +
  '(?: down)?(?: anything| something)?(?: about| on)?'

/** Each form with where it looks; the first group is what is looked for. Narrow forms stand first. */
const FORMS: [pattern: RegExp, where: 'notes' | 'sessions' | 'both'][] = [
  [phrase(`${VERB}(?: in| through)? ${BOTH} ${FOR}(.+)`), 'both'],
  [phrase(`${VERB} (.+?) (?:in|from|through) ${BOTH}`), 'both'],
  [phrase(`${SEARCH_IN} ${NOTES} ${FOR}(.+)`), 'notes'],
  [phrase(`${SEARCH_IN} ${TALKS} ${FOR}(.+)`), 'sessions'],
  [phrase(`${VERB} (.+?) (?:in|from|through) ${NOTES}`), 'notes'],
  [phrase(`${VERB} (.+?) (?:in|from|through) ${TALKS}`), 'sessions'],
  [
    phrase(
      `(?:(?:do i have |are there |is there |where are |what are )?(?:any |a )?)?${NOTES} (?:about|on|for|with) (.+)`,
    ),
    'notes',
  ],
  [phrase(`what (?:do|does|did) ${NOTES} (?:say|tell(?: me)?|have|contain) (?:about|on|of) (.+)`), 'both'],
  [phrase(`what(?:'s| is)(?: there)? in ${NOTES} (?:about|on) (.+)`), 'both'],
  [phrase(`${DID} (.+?) (?:in|from) ${NOTES}`), 'notes'],
  [phrase(`${DID} (.+?) (?:in|from) ${TALKS}`), 'sessions'],
  [phrase(`${DID} (.+)`), 'both'],
  [phrase('(?:show|get|tell)(?: me)? (?:everything|anything|all)(?: about| on)? (.+)'), 'both'],
  [phrase('(?:search|find|look up|look for|grep|quote|remember|recall)(?: and quote)?(?: for)? (.+)'), 'both'],
]

/** The rule that finds and quotes in notes and past conversations. */
export const searchRules: Rule[] = [{
  id: 'search',
  summary: 'Find and quote in the notes and past conversations',
  needs: ['notes.search'],
  examples: [
    'what do my notes say about the dentist?',
    'find the wifi password',
    'search my notes for tomatoes',
    'find tomatoes in my notes',
    'search past conversations for invoice',
    'search my notes and conversations for the invoice',
    'look up "red car"',
    'what did we talk about the garden?',
    'do you remember the name of the plumber?',
    'do I have any notes about bicycles?',
  ],
  match: ({ line }, tools) => {
    for (const [pattern, where] of FORMS) {
      const query = wanted(pattern.exec(line)?.[1] ?? '')
      if (query !== '') return search(query, where, tools)
    }
    return undefined
  },
}]

function search(query: string, where: 'notes' | 'sessions' | 'both', tools: ToolSpec[]): Plan {
  const names = where === 'both' ? ['notes.search', 'sessions.search'] : [`${where}.search`]
  return {
    calls: names.map((name) => {
      const takesLimit = Object.hasOwn(offered(tools, name)?.input_schema.properties ?? {}, 'limit')
      return { name, arguments: takesLimit ? { query, limit: 5 } : { query } }
    }),
  }
}

const FILLER = new RegExp(
  '^(?:(?:anything|something|everything|all|stuff|notes?|what)\\b ?)?' +
    '(?:(?:about|on|for|of|with|that mentions?)\\b )?(?:(?:the|a|an|my|our|me)\\b )?',
  'i',
)

const SMALL = /^(?:the|a|an|of|is|are|was|were|to|for|my|our|in|on|at)$/i

/** The words that matter: a search for "anything about the garden" is one for "garden". */
function wanted(words: string): string {
  const bare = words.replace(FILLER, '').trim().slice(0, 200)
  // Inside of quotes every word counts.
  if (bare.includes('"')) return bare
  return bare.split(' ').filter((word) => !SMALL.test(word)).join(' ') || bare
}
