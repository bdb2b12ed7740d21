const NAME =
  /(token|secret|password|passwd|passphrase|credentials?|authorization|cookie|(api|private|signing|secret|access|encryption)[-_]?key)$/i

/** Whether a field with this name holds a secret: `bot_token`, `apiKey`, `X-Api-Key`; not `input_tokens`. */
export const isSecretName = (name: string): boolean => {
  const known = names.get(name)
  if (known !== undefined) return known
  const answer = NAME.test(name)
  if (names.size < 1000) names.set(name, answer)
  return answer
}

/** Answers by name: the same few fields come again with every entry. */
const names = new Map<string, boolean>()

const REDACTED = '[redacted]'

/** Secrets that show themselves by their shape, wherever they stand in a text. */
const SHAPES: [RegExp, string][] = [
  [/\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi, `$1 ${REDACTED}`],
  [/([?&#](?:token|key|api_?key|access_token|auth_?token|secret|code)=)[^&\s"'<>]+/gi, `$1${REDACTED}`],
  [/(\/\/[^\s/:@]*:)[^\s/@]+@/g, `$1${REDACTED}@`],
  [/\b(sk|pk|rk|ghp|gho|ghs|github_pat|xox[abprs]|glpat)[-_][\w-]{16,}/g, REDACTED],
  [/\b\d{6,12}:[\w-]{30,}/g, REDACTED],
]

/** Most texts have nothing of the kind, and one look tells; shorter ones hold no secret of these shapes. */
const SUSPECT = /[=@]|\b(bearer|basic)\s|[a-z]{2}[-_]|\d:/i
const SHORTEST_SUSPECT = 12

const LONGEST_TEXT = 8192
const DEEPEST = 6
const MOST_ITEMS = 100

/** Makes log fields safe: secrets out, cycles and sizes bounded, nothing left that JSON can't hold. */
export type Redactor = {
  /** A secret that must never appear, whatever field it hides in. Too short ones would blank out ordinary words. */
  hide(secret: string): void
  text(value: string): string
  fields(value: Record<string, unknown>): Record<string, unknown>
}

export function createRedactor(): Redactor {
  const hidden = new Set<string>()

  function text(value: string): string {
    let safe = value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)}… (${value.length} characters)` : value
    for (const secret of hidden) if (safe.includes(secret)) safe = safe.replaceAll(secret, REDACTED)
    if (safe.length < SHORTEST_SUSPECT || !SUSPECT.test(safe)) return safe
    for (const [shape, replacement] of SHAPES) safe = safe.replace(shape, replacement)
    return safe
  }

  function plain(value: unknown, depth: number): unknown {
    if (typeof value === 'string') return text(value)
    if (typeof value === 'bigint') return value.toString()
    if (typeof value === 'function' || typeof value === 'symbol') return undefined
    if (typeof value !== 'object' || value === null) return value
    if (value instanceof Error) return text(value.stack ?? String(value))
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
    if (depth >= DEEPEST) return '…'
    if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`
    if (Array.isArray(value)) return value.slice(0, MOST_ITEMS).map((item) => plain(item, depth + 1))
    return record(value as Record<string, unknown>, depth + 1)
  }

  const record = (value: Record<string, unknown>, depth: number): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(value).slice(0, MOST_ITEMS).map((
        [name, item],
      ) => [name, isSecretName(name) && item != null && item !== '' ? REDACTED : plain(item, depth)]),
    )

  return {
    hide: (secret) => {
      if (secret.length >= 8) hidden.add(secret)
    },
    text,
    fields: (value) => record(value, 0),
  }
}
