import type { Document, LineCounter, Node, Pair, Scalar, YAMLMap } from 'yaml'
import type { ConfigProblem } from '../../shared/config.ts'
import { isSecret, mask, unmasked } from './secrets.ts'
import { isGroup, same, type Values } from './values.ts'

// Reading YAML takes tens of milliseconds to load; a start with an unchanged file never needs it.
const yaml = () => import('yaml')

/** A place in the text; both count from 1. */
export type Position = { line: number; column: number }

/** The text as data, or the problems that keep it from being read. */
export type Parsed = {
  data: Values | undefined
  problems: ConfigProblem[]
  /** Where the setting, or the nearest group around it, stands. */
  locate(path: readonly string[]): Position | null
}

type Text = { doc: Document.Parsed; lines: LineCounter }

/** Largest accepted `gatehouse.yaml`, in characters. */
export const LARGEST = 1_048_576

/** Reads `gatehouse.yaml`; bad text is answered as problems with line and column, never thrown. */
export async function parse(text: string): Promise<Parsed> {
  const { doc, lines } = await read(text)
  const problems = [...doc.errors, ...doc.warnings].map((error): ConfigProblem => ({
    severity: error.name === 'YAMLWarning' ? 'warning' : 'error',
    message: error.message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, ''),
    path: null,
    origin: 'file',
    line: error.linePos?.[0].line ?? null,
    column: error.linePos?.[0].col ?? null,
  }))
  const locate = (path: readonly string[]) => position(doc, lines, path)
  const refuse = (message: string): Parsed => ({
    data: undefined,
    problems: [...problems, { severity: 'error', message, path: null, origin: 'file', line: 1, column: 1 }],
    locate,
  })
  if (doc.errors.length > 0) return { data: undefined, problems, locate }
  let data: unknown
  try {
    data = doc.toJS({ maxAliasCount: 100 }) ?? {}
  } catch (error) {
    return refuse((error as Error).message)
  }
  if (!isGroup(data)) return refuse('The file must be a group of settings, such as "name: Gatehouse"')
  return { data, problems, locate }
}

/** The text with its settings changed to `next`: comments, order, line ends and everything unchanged stay. */
export async function rewrite(text: string, next: Values): Promise<string> {
  const { Document, isMap, parseDocument, stringify } = await yaml()
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  const before = text.replaceAll('\r\n', '\n')
  const options = { lineWidth: 0, indent: indentOf(before) }
  const finish = (result: string) => {
    const open = before !== '' && !before.endsWith('\n')
    return (open ? result.replace(/\n$/, '') : result).replaceAll('\n', eol)
  }
  try {
    const doc = before.trim() === '' ? new Document({}) : parseDocument(before)
    const normal = before.trim() === '' ? '' : doc.toString(options)
    if (!isMap(doc.contents)) doc.contents = doc.createNode({}) as never
    sync(doc as Document, doc.contents as unknown as YAMLMap, next, isMap)
    const spliced = splice(before, normal, doc.toString(options))
    for (const candidate of [spliced, doc.toString(options)]) {
      const { data } = await parse(candidate)
      if (data && same(data, next)) return finish(candidate)
    }
  } catch {
    // Such as an anchor that went away while an alias still points at it: below, the text is written afresh.
  }
  return finish(stringify(next, options))
}

/** The text with each secret masked in place; the rest of it is byte for byte the same. */
export async function maskText(text: string, known: readonly string[]): Promise<string> {
  const { doc } = await read(text)
  if (doc.errors.length > 0) return maskBroken(text, known)
  return replaceRanges(text, (await secretScalars(doc)).map(({ node }) => ({ node, value: mask(node.value) })))
}

/** The reverse of `maskText`: masks in `text` become the secrets of `old`. Throws `invalid_input` for an unknown mask. */
export async function unmaskText(text: string, old: unknown): Promise<string> {
  const { doc } = await read(text)
  if (doc.errors.length > 0) return text
  const changes = (await secretScalars(doc)).map(({ node, path }) => ({ node, value: unmasked(node.value, old, path) }))
  return replaceRanges(text, changes.filter(({ node, value }) => value !== node.value))
}

async function read(text: string): Promise<Text> {
  const { LineCounter, parseDocument } = await yaml()
  const lines = new LineCounter()
  return { doc: parseDocument(text, { lineCounter: lines, prettyErrors: true }), lines }
}

function position(doc: Document.Parsed, lines: LineCounter, path: readonly string[]): Position | null {
  let node: unknown = doc.contents
  let offset: number | undefined
  for (const step of path) {
    const items: unknown[] = (node as YAMLMap | null)?.items ?? []
    const pair = items.find((item) => String((item as Pair<Scalar>).key?.value ?? '') === step) as
      | Pair<Node>
      | undefined
    const element = items[Number(step)] as Node | undefined
    const next = pair ? pair.key : /^\d+$/.test(step) ? element : undefined
    if (!next?.range) break
    offset = next.range[0]
    node = pair ? pair.value : element
  }
  if (offset === undefined) return null
  const { line, col } = lines.linePos(offset)
  return { line, column: col }
}

/** Makes `map` hold exactly `next`, touching only what differs so that comments beside the rest survive. */
function sync(doc: Document, map: YAMLMap, next: Values, isMap: (node: unknown) => node is YAMLMap): void {
  for (const pair of [...map.items]) {
    const key = String((pair.key as Scalar).value)
    if (!Object.hasOwn(next, key)) map.delete(pair.key)
  }
  for (const [key, value] of Object.entries(next)) {
    const pair = map.items.find((item) => String((item.key as Scalar).value) === key)
    const node = pair?.value as Node | null | undefined
    if (isMap(node) && isGroup(value)) sync(doc, node, value, isMap)
    else if (!pair || !node || !same(node.toJS(doc), value)) {
      map.set(pair?.key ?? key, isScalar(value) ? value : doc.createNode(value))
    }
  }
}

const isScalar = (value: unknown): boolean => typeof value !== 'object' || value === null

/**
 * Puts the lines that an edit changed into the text as its author laid it out. `normal` is that text as the YAML
 * writer lays it out, `edited` the same after the edit; lines that both have are taken from the author.
 */
function splice(original: string, normal: string, edited: string): string {
  const from = linesOf(normal)
  const to = linesOf(edited)
  const theirs = align(linesOf(original), from)
  if (!theirs) return edited
  let top = 0
  while (top < from.length && top < to.length && from[top] === to[top]) top++
  let bottom = 0
  while (bottom < Math.min(from.length, to.length) - top && from.at(-1 - bottom) === to.at(-1 - bottom)) bottom++
  const kept = [theirs.slice(0, top), to.slice(top, to.length - bottom), theirs.slice(theirs.length - bottom)]
  return kept.flat(2).join('\n') + '\n'
}

const linesOf = (text: string): string[] => text.replace(/\n$/, '').split('\n')

/**
 * For each line of the writer's the author's own: the same but for spaces, with the empty lines after it that the
 * writer left out. Undefined when the two differ in more.
 */
function align(original: string[], normal: string[]): string[][] | undefined {
  const squeeze = (line: string | undefined) => line?.replace(/\s+/g, '')
  const aligned: string[][] = []
  for (const line of original) {
    if (squeeze(line) === squeeze(normal[aligned.length])) aligned.push([line])
    else if (line.trim() === '' && aligned.length > 0) aligned.at(-1)!.push(line)
    else return undefined
  }
  return aligned.length === normal.length ? aligned : undefined
}

/** Spaces that the author indents by: those of the first indented line that is no list item. */
const indentOf = (text: string): number => Math.min(8, /^( +)[^\s#-]/m.exec(text)?.[1]?.length ?? 2)

async function secretScalars(doc: Document.Parsed): Promise<{ node: Scalar; path: string[] }[]> {
  const { isAlias, isCollection, isPair, isScalar } = await yaml()
  const found = new Map<Scalar, string[]>()
  const walk = (node: unknown, path: string[]): void => {
    const target = isAlias(node) ? node.resolve(doc) : node
    if (isScalar(target)) {
      if (isSecret(target.value, path)) found.set(target, path)
    } else if (isCollection(target) && path.length < 64) {
      target.items.forEach((item, i) => {
        if (isPair(item)) walk(item.value, [...path, String((item.key as Scalar).value)])
        else walk(item, [...path, String(i)])
      })
    }
  }
  walk(doc.contents, [])
  return [...found].map(([node, path]) => ({ node, path }))
}

function replaceRanges(text: string, changes: { node: Scalar; value: unknown }[]): string {
  const byPlace = changes.filter(({ node }) => node.range).sort((a, b) => b.node.range![0] - a.node.range![0])
  let result = text
  for (const { node, value } of byPlace) {
    const [start, end] = node.range!
    // A block scalar's range takes in the line end after it.
    const tail = /\r?\n$/.exec(text.slice(start, end))?.[0] ?? ''
    result = result.slice(0, start) + JSON.stringify(value) + tail + result.slice(end)
  }
  return result
}

/** Text that can't be parsed: masks by the look of its lines, and every secret that was known before. */
function maskBroken(text: string, known: readonly string[]): string {
  let result = text
  for (const secret of known) if (secret.length >= 4) result = result.replaceAll(secret, mask(secret))
  return result.replace(
    /((?:token|secret|password|passphrase|credentials?|authorization|cookie|key)["']?\s*:[ \t]*)(?!["']?(?:\$\{|\*{4}))([^\s#][^\r\n]*)/gi,
    '$1"****"',
  )
}
