/** The longest id that is kept; no platform has such. */
const MAX_ID = 1000
/** Two ids that differ only in these would be kept, or shown, as one. */
const UNSEEN = /[\p{Cc}\p{Cs}]/u

/** What is wrong with an id of a platform, in words that follow its name; undefined when nothing is. */
export function idProblem(id: string): string | undefined {
  if (id.length > MAX_ID) return `has more than ${MAX_ID} characters`
  return UNSEEN.test(id) ? 'holds control characters or half a character' : undefined
}
