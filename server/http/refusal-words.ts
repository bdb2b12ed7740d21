import type * as v from 'valibot'

/** The validator's own words begin like this; a message that a schema was given never does. */
const OWN_WORDS = /^Invalid [^:]+: (Expected|Received) /

/** What is wrong with a field and what to send instead, also where its schema says nothing itself. */
export function messageOf(issue: v.BaseIssue<unknown>): string {
  const { message, expected, input, type } = issue
  if (!OWN_WORDS.test(message)) return message
  if (message.startsWith('Invalid key:')) {
    return expected === 'never' ? 'is not known here; leave it out' : 'is missing'
  }
  if (input === undefined) return 'is missing'
  if (issue.kind === 'schema') return `must be ${KINDS[expected ?? ''] ?? choice(expected)}`
  const limit = (issue as { requirement?: unknown }).requirement
  const unit = typeof input === 'string' ? 'characters' : 'entries'
  if (type === 'non_empty' || (type === 'min_length' && limit === 1)) return 'must not be empty'
  if (type === 'min_length') return `must have at least ${limit} ${unit}`
  if (type === 'max_length') return `must have at most ${limit} ${unit}`
  if (type === 'length') return `must have exactly ${limit} ${unit}`
  if (type === 'min_value') return `must be at least ${limit}`
  if (type === 'max_value') return `must be at most ${limit}`
  return FORMS[type] ?? 'is not written as it must be; the description of this route shows how'
}

/** Of values, by what the validator calls them. */
const KINDS: Record<string, string> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
  Array: 'a list',
  Object: 'an object',
}

const FORMS: Record<string, string> = {
  integer: 'must be a whole number',
  safe_integer: 'must be a whole number',
  finite: 'must be a finite number',
  url: 'must be a complete URL, such as https://host/path',
  email: 'must be an e-mail address',
  uuid: 'must be a UUID',
}

/** `("a" | "b")` as `a or b`; kinds among them in words. */
function choice(expected: string | null): string {
  const names = (expected ?? '').replace(/^\((.*)\)$/, '$1').split(' | ')
    .map((name) => KINDS[name] ?? name.replace(/^"(.*)"$/, '$1'))
  if (names.length === 1) return names[0]!
  return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`
}
