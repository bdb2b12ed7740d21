import type { Assignment, Command, ParsedScript, Redirection, SyntaxNode, Word, WordPart } from 'unbash'
import { type Arg, runsItsArguments, runsItsValue } from './shell-values.ts'

/** One thing that a shell command would do: a program, a redirection or an assignment. */
export type ShellPart = {
  /** As a rule that allows sees it: quotes and escapes resolved, one space between words. */
  text: string
  /** Every way to write it that a rule that denies looks at: as typed, resolved, without the folder of the program. */
  spellings: string[]
  /** Why nobody can say beforehand what it runs; it is then asked about, whatever rules allow. */
  opaque?: string | undefined
}

const LONGEST = 16_384
const MOST_PARTS = 200
const DEEPEST = 5

const SHELLS = new Set(['sh', 'bash', 'dash', 'zsh', 'ksh', 'ash', 'fish'])
/** Programs that run the program that their arguments name. */
const WRAPPERS = new Set(
  ('sudo doas env nohup nice ionice timeout time stdbuf setsid xargs command builtin exec watch chroot unshare ' +
    'nsenter strace ltrace parallel busybox flock systemd-run script su runuser pkexec taskset chrt setarch prlimit ' +
    'numactl').split(' '),
)
const FIND_EXEC = new Set(['-exec', '-execdir', '-ok', '-okdir'])

/**
 * Everything that a shell command would run, found by parsing it: parts of pipes and lists, subshells, substitutions,
 * redirections, assignments, and what `eval`, `xargs`, `sh -c`, `find -exec` and the like are given.
 */
export async function shellParts(command: string): Promise<ShellPart[]> {
  if (command.length > LONGEST) return [opaque(command.slice(0, 200), 'The command is too long to be judged.')]
  const unbash = await import('unbash')
  const parts: ShellPart[] = []

  function read(source: string, depth: number): void {
    if (depth > DEEPEST) return void parts.push(opaque(source, 'Commands within commands are nested too deeply.'))
    let script: ParsedScript
    try {
      script = unbash.parse(source)
    } catch {
      return void parts.push(opaque(source, 'The command could not be parsed.'))
    }
    visit(script, source, depth)
  }

  function visit(node: SyntaxNode, outer: string, depth: number): void {
    if (parts.length > MOST_PARTS) return
    const source = node.type === 'Script' ? node.source ?? outer : outer
    if ('errors' in node && node.errors?.length) parts.push(opaque(source, 'The command could not be parsed.'))
    const value = runsItsValue(node)
    if (value !== undefined) parts.push(opaque(source.slice(node.pos, node.end), value))
    if (node.type === 'Command') program(node, source, depth)
    else if (node.type === 'Assignment') add(node.text)
    else if (node.type === 'Redirect') redirection(node)
    else if ((node.type === 'For' || node.type === 'Select') && !/[a-z]/.test(node.name.value)) {
      // A loop over PATH decides which programs run.
      add(`${node.name.value}=`)
    } else if (node.type === 'Function') add(`${node.name.value}()`)
    unbash.forEachChild(node, (child) => visit(child, source, depth))
  }

  function program(node: Command, source: string, depth: number): void {
    if (!node.name) return
    const words = [node.name, ...node.args]
    const said = source.slice(node.name.pos, Math.max(node.name.end, ...words.map(({ end }) => end)))
    if (!isLiteral(node.name)) {
      return void parts.push(opaque(said, 'The name of the program is only known when the command runs.'))
    }
    argv(words.map(argOf), said, depth)
  }

  function argv(words: Arg[], said: string, depth: number): void {
    const [first, ...rest] = words
    if (!first) return
    const name = first.text.slice(first.text.lastIndexOf('/') + 1)
    const text = words.map(spell).join(' ')
    const part = add(text, said, [{ text: name, literal: true }, ...rest].map(spell).join(' '))
    const run = (script: Arg[]): void => {
      if (script.every(({ literal }) => literal)) read(script.map((arg) => arg.text).join(' '), depth + 1)
      else part.opaque = 'It runs a command that is only known when it runs.'
    }
    const given = rest[0]?.text === '--' ? rest.slice(1) : rest
    if (name === 'eval') return run(given)
    if (name === 'trap' && given[0]) return run([given[0]])
    if (SHELLS.has(name)) {
      const at = rest.findIndex((arg) => /^-[a-z]*c[a-z]*$/i.test(arg.text))
      const script = at < 0 ? undefined : rest.slice(at + 1).find((arg) => !/^[-+]/.test(arg.text))
      if (script) return run([script])
    }
    if (SHELLS.has(name) || name === '.' || name === 'source') {
      const file = rest.find((arg) => !/^[-+]/.test(arg.text))
      if (!file?.literal || file.text.startsWith('/dev/')) part.opaque = 'It runs whatever it reads from its input.'
      return
    }
    part.opaque = runsItsArguments(name, rest)
    if (name === 'find') {
      for (const [at, arg] of rest.entries()) {
        if (!FIND_EXEC.has(arg.text)) continue
        const end = rest.findIndex((word, index) => index > at && /^[;+]$/.test(word.text))
        argv(rest.slice(at + 1, end < 0 ? undefined : end), said, depth + 1)
      }
    }
    if (!WRAPPERS.has(name)) return
    if (depth > DEEPEST) {
      part.opaque = 'Commands within commands are nested too deeply.'
      return
    }
    // Which arguments belong to options differs by program: a rule that denies looks at each possible beginning.
    part.spellings.push(...rest.slice(0, 20).map((_, at) => rest.slice(at).map(spell).join(' ')))
    // `su -c`, `env -S`, `watch` and others take a whole command as one argument.
    for (const { text: arg, literal } of rest) {
      if (!literal || !/[\s;&|<>()$`]/.test(arg)) continue
      read(arg, depth + 1)
      const behind = arg.replace(/^(--[\w-]+=|-[a-zA-Z])/, '')
      if (behind !== arg) read(behind, depth + 1)
    }
    const start = rest.findIndex((arg) => !/^(-|\d[\d.]*[smhd]?$|\w+=)/.test(arg.text))
    if (start < 0) return
    if (rest[start]!.literal) argv(rest.slice(start), said, depth + 1)
    else part.opaque = 'The name of the program is only known when the command runs.'
  }

  /** Where output goes or input comes from; `2>&1` and `/dev/null` change nothing. */
  function redirection(node: Redirection): void {
    if (node.type !== 'Redirect') return
    const target = node.target
    if (!target) return
    if (node.operator.endsWith('&') && /^(\d+|-)$/.test(target.value)) return
    if (isLiteral(target) && target.value === '/dev/null') return
    add(`${node.operator} ${isLiteral(target) ? spell({ text: target.value, literal: true }) : target.text}`)
  }

  function add(text: string, ...more: string[]): ShellPart {
    const part: ShellPart = { text, spellings: [...new Set([text, ...more])] }
    parts.push(part)
    return part
  }

  read(command, 0)
  if (parts.length > MOST_PARTS) return [opaque(command.slice(0, 200), 'The command has too many parts to be judged.')]
  return parts
}

const opaque = (text: string, why: string): ShellPart => ({ text, spellings: [text], opaque: why })

const argOf = (word: Word | Assignment): Arg =>
  word.type === 'Word' && isLiteral(word) ? { text: word.value, literal: true } : { text: word.text, literal: false }

/** A word as a shell would need it written, so that a quoted space never looks like the end of a word. */
const spell = ({ text, literal }: Arg): string =>
  !literal || /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** Whether a word is the same whatever the environment, the files and earlier commands are. */
function isLiteral(word: Word): boolean {
  const fixed = (part: WordPart): boolean =>
    part.type === 'Literal' || part.type === 'SingleQuoted' || part.type === 'AnsiCQuoted' ||
    ((part.type === 'DoubleQuoted' || part.type === 'LocaleString') && part.parts.every(fixed))
  return word.parts?.every(fixed) ?? !/[*?[{$`]/.test(word.value)
}
