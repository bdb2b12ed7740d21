import { phrase, type Plan, type Rule } from './rule.ts'

const MAKE = '(?:create|make|add|write|start|take|save)(?: me)?(?: a| the)?(?: new)? note'
const MAKE_ONLY = phrase(`${MAKE}|new note`)
const REMEMBER = new RegExp(
  "^(?:(?:remember|keep in mind|don't forget|do not forget|(?:write|jot|note) down)" +
    '(?:\\s+that\\b)?(?:\\s*:\\s*|\\s+)|' +
    `(?:note(?:\\s+to self)?|${MAKE})(?:\\s+that\\b\\s*:?\\s*|\\s*:\\s*))(\\S[\\s\\S]*)$`,
  'i',
)
const CREATE = new RegExp(
  `^(?:${MAKE}|new note)(?:\\s+(?:called|named|titled|about|with (?:the )?title))?\\s+` +
    '(?:"([^"\\n]{1,200})"|([^:\\n]{1,200}?))' +
    '(?:\\s*$|\\s*:\\s*|\\s*\\n|\\s+(?:with (?:the )?(?:content|text|body)|saying|that says|containing)\\b\\s*:?\\s*)' +
    '([\\s\\S]*)$',
  'i',
)
const LIST = phrase(
  '(?:list|show|find)(?: me)?(?: all)?(?: of)?(?: (?:my|the))?(?: (?:recent|latest|last))? notes',
  "(?:what|which) notes (?:do i have|are there)|(?:what(?:'s| is) in |what are )?my notes|(?:search|browse) my notes",
)
const READ = phrase(
  "(?:show|open|read|display|print|view|give|what(?:'s| is) in)(?: me)?(?: (?:the|my))? " +
    '(?:note(?: (?:called|named|titled|about|on))? (.+)|(.+?) note|(\\S.*\\.md|\\[\\[.+\\]\\]))',
)

const WHAT_TO_NOTE = 'What shall it hold? Say `note: call the plumber`, or give it a title: ' +
  '`create a note called Plumber: call on Monday`.'

/** Rules that make, show and list notes. */
export const noteRules: Rule[] = [
  {
    id: 'note.remember',
    summary: 'Remember something in a note',
    needs: ['notes.create'],
    examples: [
      'remember that the spare key is under the blue pot',
      'note: call the plumber on Monday',
      'make a note that the meeting moved to ten',
      'take a note: buy stamps',
      "don't forget the milk",
    ],
    match: ({ text }) => {
      // "Remember the plumber?" asks.
      if (/^remember [^:\n]*\?\s*$/i.test(text)) return undefined
      const content = REMEMBER.exec(text)?.[1]?.trim()
      return content ? create({ title: titleOf(content), content }) : undefined
    },
  },
  {
    id: 'note.create',
    summary: 'Make a note with a title',
    needs: ['notes.create'],
    examples: [
      'create a note called Shopping: milk, eggs and bread',
      'make a new note "Garden plan" with the text tomatoes in May',
      'new note Ideas',
      'create a note called projects/garden: beans along the fence',
    ],
    match: ({ text, line }) => {
      if (MAKE_ONLY.test(line)) return { say: WHAT_TO_NOTE }
      const [, quoted, bare, content = ''] = CREATE.exec(text) ?? []
      const title = (quoted ?? bare)?.trim().replace(/[.!]+$/, '')
      if (!title) return undefined
      return create({ [title.includes('/') ? 'path' : 'title']: title, content: content.trim() })
    },
  },
  {
    id: 'note.list',
    summary: 'List the notes that changed last',
    needs: ['notes.search'],
    examples: ['list my notes', 'show me the latest notes', 'what notes do I have?'],
    match: ({ line }) => LIST.test(line) ? { calls: [{ name: 'notes.search', arguments: { limit: 20 } }] } : undefined,
  },
  {
    id: 'note.read',
    summary: 'Show a note',
    needs: ['notes.read'],
    examples: [
      'show the note Shopping',
      'open note projects/garden.md',
      'read my shopping note',
      "what's in the note called Ideas?",
      'show [[Ideas]]',
    ],
    match: ({ line }) => {
      const [, named, owned, file] = READ.exec(line) ?? []
      const note = (named ?? owned ?? file)?.replace(/^["']|["']$/g, '').trim()
      return note ? { calls: [{ name: 'notes.read', arguments: { note } }] } : undefined
    },
  },
]

const create = (note: Record<string, unknown>): Plan => ({ calls: [{ name: 'notes.create', arguments: note }] })

/** The first words of a text, which name its note. */
function titleOf(content: string): string {
  const line = (content.split('\n')[0] ?? '').replace(/\s+/g, ' ').replace(/[.,;:!?…\s]+$/, '')
  const short = line.length <= 60 ? line : line.slice(0, 60).replace(/\s+\S*$/, '')
  return (short.charAt(0).toUpperCase() + short.slice(1)) || 'Note'
}
