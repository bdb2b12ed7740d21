import { invalid } from '../errors.ts'

/** Characters; longer input is refused before it is read. */
export const MAX_EXPRESSION = 500
const MAX_DEPTH = 60
const SIGNIFICANT_DIGITS = 12

/**
 * The value of an arithmetic expression; a whole number that a double can't hold exactly comes as a bigint.
 * Throws `invalid_input` that says where and why it can't be read.
 */
export function evaluate(expression: string): number | bigint {
  if (expression.length > MAX_EXPRESSION) refuse(`is longer than ${MAX_EXPRESSION} characters`)
  const { value, whole } = new Parser(tokenize(expression)).parse()
  if (whole !== undefined && !Number.isSafeInteger(value)) return whole
  if (Number.isNaN(value)) refuse('has no real result')
  if (!Number.isFinite(value)) refuse('has a result too large to write down')
  return tidy(value)
}

type Token = { kind: 'number'; value: number; whole?: bigint } | { kind: 'name' | 'sign' | 'end'; text: string }

const SPELLINGS: Record<string, string> = {
  '×': '*',
  '·': '*',
  '÷': '/',
  '−': '-',
  '–': '-',
  '√': 'sqrt',
  'π': 'pi',
}
const TOKEN = /\s*(?:(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|([a-z]+)|(\*\*|[-+*/%^(),]))/iy

function tokenize(expression: string): Token[] {
  const text = expression
    .replace(/[×·÷−–√π]/g, (sign) => SPELLINGS[sign] ?? sign)
    .replaceAll('²', '^2')
    .replaceAll('³', '^3')
    .trimEnd()
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex
    const match = TOKEN.exec(text)
    if (!match) refuse(`has "${text.slice(at).trim().slice(0, 12)}", which is not arithmetic`)
    const [, number, name, sign] = match
    if (number) {
      tokens.push({ kind: 'number', value: Number(number), ...(/^\d+$/.test(number) ? { whole: BigInt(number) } : {}) })
    } else if (name) tokens.push({ kind: 'name', text: name.toLowerCase() })
    else tokens.push({ kind: 'sign', text: sign === '**' ? '^' : sign ?? '' })
  }
  return tokens
}

const CONSTANTS: Record<string, number> = { pi: Math.PI, e: Math.E }

/** Each function with how many arguments it takes, least and most. */
const FUNCTIONS: Record<string, [least: number, most: number, run: (...values: number[]) => number]> = {
  sqrt: [1, 1, Math.sqrt],
  abs: [1, 1, Math.abs],
  round: [1, 2, (value, places = 0) => roundTo(value, places)],
  floor: [1, 1, Math.floor],
  ceil: [1, 1, Math.ceil],
  min: [1, 50, Math.min],
  max: [1, 50, Math.max],
  log: [1, 1, Math.log10],
  ln: [1, 1, Math.log],
  exp: [1, 1, Math.exp],
  sin: [1, 1, Math.sin],
  cos: [1, 1, Math.cos],
  tan: [1, 1, Math.tan],
}

type Value = {
  value: number
  /** Written as a percentage: `80 + 10%` means ten percent of the 80. */
  percent?: true
  /** The same value exactly, as long as only whole numbers were added, multiplied and raised. */
  whole?: bigint
}

/** Exact results up to this size; larger ones are doubles. */
const LARGEST_WHOLE = 10n ** 60n

const plain = (value: number): Value => ({ value })

/** `value`, and the exact result of `run` when both sides are whole and it stays small enough to write down. */
function exactly(value: number, left: Value, right: Value, run: (left: bigint, right: bigint) => bigint): Value {
  if (left.whole === undefined || right.whole === undefined || !(Math.abs(value) < 1e60)) return { value }
  const whole = run(left.whole, right.whole)
  return whole < LARGEST_WHOLE && whole > -LARGEST_WHOLE ? { value, whole } : { value }
}

/** Recursive descent: sum, product, sign, power, percent, atom. */
class Parser {
  #tokens: Token[]
  #at = 0
  #depth = 0

  constructor(tokens: Token[]) {
    this.#tokens = tokens
  }

  parse(): Value {
    const result = this.#sum()
    if (this.#next.kind !== 'end') refuse(`has ${this.#shown()} where an operator was expected`)
    return result
  }

  get #next(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '' }
  }

  #take(sign: string): boolean {
    const next = this.#next
    if (next.kind !== 'sign' || next.text !== sign) return false
    this.#at++
    return true
  }

  #sum(): Value {
    if (++this.#depth > MAX_DEPTH) refuse(`is nested deeper than ${MAX_DEPTH} levels`)
    let left = this.#product()
    for (;;) {
      const sign = this.#take('+') ? 1 : this.#take('-') ? -1 : 0
      if (sign === 0) break
      const right = this.#product()
      const change = sign * (right.percent && !left.percent ? left.value * right.value : right.value)
      left = exactly(left.value + change, left, right, (a, b) => a + BigInt(sign) * b)
    }
    this.#depth--
    return left
  }

  #product(): Value {
    let left = this.#signed()
    for (;;) {
      if (this.#take('*')) left = product(left, this.#signed())
      else if (this.#take('/')) left = plain(divide(left.value, this.#signed().value))
      else if (this.#take('%')) left = plain(remainder(left.value, this.#signed().value))
      else if (this.#isName('of')) {
        if (!left.percent) refuse('has "of" without a percentage before it, as in "20% of 80"')
        this.#at++
        left = plain(left.value * this.#signed().value)
      } else if (this.#startsAtom()) left = product(left, this.#power())
      else return left
    }
  }

  #signed(): Value {
    if (this.#take('+')) return this.#guarded(() => this.#signed())
    if (!this.#take('-')) return this.#power()
    const { value, percent, whole } = this.#guarded(() => this.#signed())
    return { value: -value, ...(percent && { percent }), ...(whole !== undefined && { whole: -whole }) }
  }

  #power(): Value {
    const base = this.#percentage()
    if (!this.#take('^')) return base
    const exponent = this.#guarded(() => this.#signed())
    // A negative power is no whole number.
    if (exponent.value < 0) return plain(base.value ** exponent.value)
    return exactly(base.value ** exponent.value, base, exponent, (a, b) => a ** b)
  }

  #percentage(): Value {
    const atom = this.#atom()
    const next = this.#next
    if (next.kind !== 'sign' || next.text !== '%' || this.#startsAtom(1)) return atom
    this.#at++
    return { value: atom.value / 100, percent: true }
  }

  #atom(): Value {
    const token = this.#next
    if (token.kind === 'number') {
      this.#at++
      return token.whole === undefined ? plain(token.value) : { value: token.value, whole: token.whole }
    }
    if (this.#take('(')) {
      const { value, whole } = this.#sum()
      if (!this.#take(')')) refuse('has a "(" without its ")"')
      return whole === undefined ? plain(value) : { value, whole }
    }
    if (token.kind !== 'name') refuse(`has ${this.#shown()} where a number was expected`)
    this.#at++
    const constant = Object.hasOwn(CONSTANTS, token.text) ? CONSTANTS[token.text] : undefined
    return plain(constant ?? this.#call(token.text))
  }

  #call(name: string): number {
    const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined
    if (!known) refuse(`has "${name}"; known are ${Object.keys(FUNCTIONS).join(', ')}, pi and e`)
    const [least, most, run] = known
    // "√2" has no parentheses.
    if (!this.#take('(')) {
      if (name !== 'sqrt') refuse(`needs parentheses after ${name}, as in ${name}(2)`)
      return run(this.#guarded(() => this.#percentage()).value)
    }
    const values = [this.#sum().value]
    while (this.#take(',')) values.push(this.#sum().value)
    if (!this.#take(')')) refuse('has a "(" without its ")"')
    if (values.length < least || values.length > most) refuse(`gives ${name} ${values.length} values`)
    return run(...values)
  }

  #isName(text: string): boolean {
    const next = this.#next
    return next.kind === 'name' && next.text === text
  }

  #startsAtom(ahead = 0): boolean {
    const token = this.#tokens[this.#at + ahead]
    if (!token) return false
    if (token.kind === 'number') return ahead > 0
    return token.kind === 'name' ? token.text !== 'of' : token.kind === 'sign' && token.text === '('
  }

  #guarded(read: () => Value): Value {
    if (++this.#depth > MAX_DEPTH) refuse(`is nested deeper than ${MAX_DEPTH} levels`)
    const value = read()
    this.#depth--
    return value
  }

  #shown(): string {
    const token = this.#next
    if (token.kind === 'number') return String(token.value)
    return token.kind === 'end' ? 'its end' : `"${token.text}"`
  }
}

const product = (left: Value, right: Value): Value => exactly(left.value * right.value, left, right, (a, b) => a * b)

function divide(left: number, right: number): number {
  if (right === 0) refuse('divides by zero')
  return left / right
}

function remainder(left: number, right: number): number {
  if (right === 0) refuse('divides by zero')
  return left % right
}

function roundTo(value: number, places: number): number {
  const limited = Math.max(-15, Math.min(15, Math.trunc(places)))
  // Through text, for 1.005 * 100 is 100.49999….
  const shifted = Math.round(Number(`${tidy(value)}e${limited}`))
  return Number.isFinite(shifted) ? Number(`${shifted}e${-limited}`) : value
}

/** 0.1 + 0.2 is 0.3 for people; whole numbers stay exact as far as doubles are. */
function tidy(value: number): number {
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value
  return Number(value.toPrecision(SIGNIFICANT_DIGITS))
}

function refuse(why: string): never {
  throw invalid('expression', why)
}
