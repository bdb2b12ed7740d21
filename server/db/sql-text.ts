/** A word, a parameter mark or a punctuation sign of SQL, in lower case, outside strings, quoted names and comments. */
type Token = { text: string; start: number; end: number }

const TOKEN =
  /--[^\n]*|\/\*[^]*?(?:\*\/|$)|'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?|\?\d*|[\p{L}_][\p{L}\p{N}_$]*|\S/gu

function* tokens(sql: string): Generator<Token> {
  for (const match of sql.matchAll(TOKEN)) {
    const text = match[0]
    if (text.startsWith('--') || text.startsWith('/*')) continue
    yield { text: text.toLowerCase(), start: match.index, end: match.index + text.length }
  }
}

/**
 * What a statement needs: a reader, the writer, or neither because only `transaction()` may say it
 * (`begin`, `commit`, `rollback`, `savepoint`…).
 */
export type StatementKind = 'read' | 'write' | 'control'

export type StatementFacts = {
  kind: StatementKind
  /** How many `?` it has; undefined when it numbers them (`?1`). */
  parameters: number | undefined
  /** First word, to name the statement in messages. */
  verb: string
}

const READ = new Set(['select', 'values', 'explain'])
const CONTROL = new Set(['begin', 'commit', 'end', 'rollback', 'savepoint', 'release'])
/** The word that decides what a `with …` is, at bracket depth 0. */
const MAIN_VERB = new Set(['select', 'values', 'insert', 'replace', 'update', 'delete'])
/** Pragmas that only look, and see the same thing on each connection. */
const READ_PRAGMAS = new Set(
  ('table_info table_xinfo table_list index_info index_list index_xinfo foreign_key_list foreign_key_check ' +
    'integrity_check quick_check compile_options function_list module_list collation_list database_list ' +
    'page_count page_size freelist_count encoding').split(' '),
)

const known = new Map<string, StatementFacts>()

/** Reads a statement's facts off its text; a statement that is not surely read-only counts as a write. */
export function statementFacts(sql: string): StatementFacts {
  const cached = known.get(sql)
  if (cached) return cached
  const facts = readFacts(sql)
  if (known.size >= 1000) known.clear()
  known.set(sql, facts)
  return facts
}

/** The facts of a statement that a feature wants to run; throws when it can't be run with these parameters. */
export function runnableFacts(sql: string, parameters: readonly unknown[]): StatementFacts {
  const facts = statementFacts(sql)
  if (facts.kind === 'control') {
    throw new Error(`"${facts.verb}" is not for queries: transactions and savepoints go through transaction()`)
  }
  if (facts.parameters !== undefined && facts.parameters !== parameters.length) {
    throw new Error(`The statement has ${facts.parameters} parameters and was given ${parameters.length}`)
  }
  return facts
}

function readFacts(sql: string): StatementFacts {
  const all = [...tokens(sql)]
  const verb = all[0]?.text ?? ''
  const marks = all.filter((token) => token.text.startsWith('?'))
  const parameters = marks.some((token) => token.text.length > 1) ? undefined : marks.length
  return { kind: kindOf(all, verb), parameters, verb }
}

function kindOf(all: Token[], verb: string): StatementKind {
  if (READ.has(verb)) return 'read'
  if (CONTROL.has(verb)) return 'control'
  if (verb === 'pragma') return isReadPragma(all) ? 'read' : 'write'
  if (verb !== 'with') return 'write'
  let depth = 0
  for (const { text } of all) {
    if (text === '(') depth++
    else if (text === ')') depth--
    else if (depth === 0 && MAIN_VERB.has(text)) return READ.has(text) ? 'read' : 'write'
  }
  return 'write'
}

function isReadPragma(all: Token[]): boolean {
  const name = all[2]?.text === '.' ? all[3]?.text : all[1]?.text
  return READ_PRAGMAS.has(name ?? '') && !all.some((token) => token.text === '=')
}

/**
 * The statements of a script, without their semicolons. Knows strings, quoted names, comments, and that the body of
 * `create trigger … begin …; …; end` is one statement (with any `case … end` inside it).
 */
export function splitStatements(script: string): string[] {
  const statements: string[] = []
  let words: string[] = []
  let start: number | undefined
  let end = 0
  let depth = 0
  const finish = () => {
    if (start !== undefined) statements.push(script.slice(start, end))
    words = []
    start = undefined
    depth = 0
  }
  for (const token of tokens(script)) {
    if (token.text === ';' && depth === 0) {
      finish()
      continue
    }
    start ??= token.start
    end = token.end
    if (words.length < 3) words.push(token.text)
    const inTrigger = words[0] === 'create' && (words[1] === 'trigger' || words[2] === 'trigger')
    if (inTrigger && (token.text === 'begin' || token.text === 'case')) depth++
    else if (inTrigger && token.text === 'end') depth--
  }
  finish()
  return statements
}
