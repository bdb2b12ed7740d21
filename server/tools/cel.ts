import type { Environment } from '@marcbachmann/cel-js'

/** What a condition speaks about. */
export type Subject = {
  tool: string
  effect: string
  args: Record<string, unknown>
  session: { id: string; origin: string }
  /** Name of the channel that the call came through; empty elsewhere. */
  channel: string
  principal: { kind: string; handle: string; name: string }
}

/** Throws an error for the author of the condition when it can't be evaluated. */
export type Condition = (subject: Subject) => boolean

const LONGEST = 2000
/** Steps that one evaluation may take at the very most; about half a second. */
const MOST_STEPS = 2_000_000
const COMPREHENSIONS = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])

const compiled = new Map<string, Condition>()
let environment: Environment | undefined

/** Compiles a CEL expression; throws with what is wrong with it. The language is loaded with the first one. */
export async function condition(expression: string): Promise<Condition> {
  const known = compiled.get(expression)
  if (known) return known
  if (expression.length > LONGEST) throw new Error(`is longer than ${LONGEST} characters`)
  environment ??= await createEnvironment()
  const program = environment.parse(expression)
  const checked = program.check()
  if (!checked.valid) throw new Error(checked.error?.message ?? 'is not valid')
  if (checked.type !== 'bool' && checked.type !== 'dyn') throw new Error(`must be true or false, not ${checked.type}`)
  const exponent = Math.max(1, growthOf(program.ast))
  const run: Condition = (subject) => {
    const size = largest(subject.args)
    if (size ** exponent > MOST_STEPS) throw new Error('the arguments are too large for this condition')
    const answer = program(subject)
    if (typeof answer !== 'boolean') throw new Error('is neither true nor false for these arguments')
    return answer
  }
  if (compiled.size >= 500) compiled.clear()
  compiled.set(expression, run)
  return run
}

async function createEnvironment(): Promise<Environment> {
  const { Environment } = await import('@marcbachmann/cel-js')
  return new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 300, maxDepth: 24, maxListElements: 100, maxMapEntries: 50, maxCallArguments: 16 },
  })
    .registerVariable('tool', 'string').registerVariable('effect', 'string').registerVariable('args', 'map')
    .registerVariable('session', 'map').registerVariable('channel', 'string').registerVariable('principal', 'map')
}

/**
 * How the work grows with the size of the arguments: a loop within a loop squares it, and so does each repetition in a
 * regular expression. Refuses expressions that JavaScript's engine might never finish.
 */
function growthOf(node: unknown): number {
  if (Array.isArray(node)) return Math.max(0, ...node.map(growthOf))
  if (typeof node !== 'object' || node === null || !('op' in node)) return 0
  const { op, args } = node as { op: string; args: unknown }
  if (op === 'rcall' && Array.isArray(args)) {
    const [name, receiver, given] = args as [string, unknown, unknown[]]
    if (name === 'matches') return Math.max(growthOf(receiver), repetitionsIn(given[0]))
    const inner = growthOf(given)
    return Math.max(growthOf(receiver), COMPREHENSIONS.has(name) ? inner + 1 : inner)
  }
  return growthOf(args)
}

function repetitionsIn(pattern: unknown): number {
  const { op, args } = (pattern ?? {}) as { op?: string; args?: unknown }
  if (op !== 'value' || typeof args !== 'string') throw new Error('matches() needs a pattern in quotes')
  const plain = args.replace(/\\./g, 'x').replace(/\[\^?\]?[^\]]*\]/g, 'x')
  if (/\)\s*[*+{?]/.test(plain) || /\(\?[=!<]/.test(plain) || /\\[1-9k]/.test(args)) {
    throw new Error('matches() takes no repeated groups, look-arounds or back-references')
  }
  // One more than the repetitions: a pattern may begin at each character.
  return 1 + (plain.match(/[*+]|\{\d*,\d*\}/g)?.length ?? 0)
}

/** Of the longest text and the largest collection. */
function largest(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 1
  const items = Object.values(value)
  return Math.max(items.length, 1, ...items.slice(0, 10_000).map(largest))
}
