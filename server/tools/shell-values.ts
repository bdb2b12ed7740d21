import type { SyntaxNode, Word } from 'unbash'

/** A word of a command, its quotes resolved where it is `literal`. */
export type Arg = { text: string; literal: boolean }

const WHY =
  'It uses a value as arithmetic, a name or a prompt, and a shell runs the commands that stand in such a value.'

const NUMBERS = new Set(['-eq', '-ne', '-lt', '-le', '-gt', '-ge'])
/** Built-in commands whose arguments are names of variables, with subscripts. */
const NAMING = new Set('declare typeset local readonly export unset read mapfile readarray getopts wait'.split(' '))

/**
 * Why nobody can say beforehand what a piece of syntax runs that looks like mere data. `[[ 'a[$(rm x)]' -eq 0 ]]` runs
 * `rm`, and so do `$((i))`, `${i@P}` and `${!i}` when `i` has such a text, whether a loop or a file gave it.
 */
export const runsItsValue = (node: SyntaxNode): string | undefined => isCode(node) ? WHY : undefined

/** The same for the arguments of a built-in command, as `printf -v 'a[$(rm x)]' y` has them. */
export const runsItsArguments = (name: string, args: readonly Arg[]): string | undefined =>
  areCode(name, args) ? WHY : undefined

function isCode(node: SyntaxNode): boolean {
  switch (node.type) {
    case 'ArithmeticWord':
      return !isNumber(node.value)
    case 'ArithmeticExpansion':
      return node.expression === undefined
    case 'TestBinary':
      return NUMBERS.has(node.operator) && ![node.left, node.right].every(isNumberWord)
    case 'TestUnary':
      return (node.operator === '-v' || node.operator === '-R') && !isName(node.operand)
    case 'ParameterExpansion':
      return (node.prefix === '!' && node.operation?.type !== 'Names' && !isWhole(node.index)) || !isIndex(node.index)
    case 'Slice':
      return ![node.offset, node.length].every((word) => word === undefined || isNumberWord(word))
    case 'Transform':
      return node.operand.text === 'P'
    default:
      return false
  }
}

function areCode(name: string, args: readonly Arg[]): boolean {
  const named = (at: number): boolean => at < 0 || isPlainName(args[at + 1])
  const hides = args.some(({ text, literal }) => literal && /\$\(|`/.test(text))
  switch (name) {
    case 'let':
      return !args.every(({ text }) => isNumber(text))
    case 'test':
    case '[':
      return hides || !['-v', '-R'].every((flag) => named(args.findIndex(({ text }) => text === flag)))
    case 'printf': {
      const [first] = args
      return first?.literal === false || (first?.text.startsWith('-v') === true && (first.text !== '-v' || !named(0)))
    }
    default:
      return NAMING.has(name) && (hides || args.some((arg) => !isPlain(arg)))
  }
}

/** Also the base of a number, and what is always a number. */
const isNumber = (text: string): boolean => /^(\d[\w#@]*|\$\{#\w+\}|\$[#?$!])$/.test(text)
const isNumberWord = ({ text }: Word): boolean => /^["']?\s*-?\d*["']?$/.test(text) || isNumber(text)
const isWhole = (index: Word | undefined): boolean => index?.text === '@' || index?.text === '*'
const isIndex = (index: Word | undefined): boolean => index === undefined || isWhole(index) || isNumberWord(index)
const isName = ({ text }: Word): boolean => /^\w+$/.test(text)
const isPlainName = (arg: Arg | undefined): boolean => arg?.literal === true && /^\w+$/.test(arg.text)

/** A name, an assignment to one, or an option that makes no number or other name of it. */
const isPlain = ({ text, literal }: Arg): boolean =>
  /^\w+\+?=/.test(text) || (literal && (text.startsWith('-') ? !/^-[a-zA-Z]*[inC]/.test(text) : !text.includes('[')))
