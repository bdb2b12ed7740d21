import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  type Pair,
  parseDocument,
  type Scalar,
  stringify,
  type YAMLMap,
} from 'yaml'

/** Settings by name. */
export type Values = Record<string, unknown>

/** The text as settings; undefined while it can't be read. */
export function readYaml(text: string): Values | undefined {
  const doc = parseDocument(text)
  if (doc.errors.length > 0) return undefined
  try {
    const data: unknown = doc.toJS({ maxAliasCount: 100 }) ?? {}
    return isGroup(data) ? data : undefined
  } catch {
    // Such as an alias without its anchor.
    return undefined
  }
}

export const isGroup = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What stands at a path; undefined when nothing does. */
export const valueAt = (values: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((at, step) => isGroup(at) && Object.hasOwn(at, step) ? at[step] : undefined, values)

/**
 * The text with one setting changed, or removed when `value` is undefined; groups that this leaves empty go too. Only
 * the lines of that setting change, so comments and layout stay as their author wrote them. Text that can't be read
 * is returned as it is.
 */
export function setYaml(text: string, path: readonly string[], value: unknown): string {
  const before = readYaml(text)
  if (!before) return text
  const wanted = JSON.stringify(sorted(changed(before, path, value) ?? {}))
  for (const way of [inPlace, afresh]) {
    const result = way(text, path, value)
    if (result !== undefined && JSON.stringify(sorted(readYaml(result))) === wanted) return result
  }
  return stringify(changed(before, path, value) ?? {}, { lineWidth: 0 })
}

/** The line, from 1, on which a setting or the nearest group around it stands. */
export function lineOf(text: string, path: readonly string[]): number | undefined {
  const lines = new LineCounter()
  const doc = parseDocument(text, { lineCounter: lines })
  const found = chainOf(doc, path).at(-1)
  return found && lines.linePos(startOf(found)).line
}

/** Paths of all settings in which two differ; lists count as one setting. */
export function differences(before: unknown, after: unknown, path: string[] = []): string[][] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  if (!isGroup(before) || !isGroup(after)) return [path]
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].flatMap((name) => differences(before[name], after[name], [...path, name]))
}

/** Undefined for a group that has nothing left. */
function changed(values: Values, [name = '', ...rest]: readonly string[], value: unknown): Values | undefined {
  const inner = values[name]
  const next = rest.length === 0 ? value : changed(isGroup(inner) ? inner : {}, rest, value)
  const { [name]: _, ...others } = values
  if (next !== undefined) return { ...values, [name]: next }
  return Object.keys(others).length === 0 ? undefined : others
}

type Item = Pair<Scalar, { range?: [number, number, number] | null } | null>

/** The pairs that lead to a path, as far as it exists. */
function chainOf(doc: Document, path: readonly string[]): Item[] {
  const chain: Item[] = []
  let node: unknown = doc.contents
  for (const step of path) {
    const pair = isMap(node) ? node.items.find(({ key }) => String((key as Scalar).value) === step) : undefined
    if (!pair) break
    chain.push(pair as Item)
    node = pair.value
  }
  return chain
}

const startOf = (pair: Item): number => pair.key.range![0]

/** Where the line that holds the end of a pair ends, its line break included. */
function endOf(text: string, pair: Item): number {
  const end = pair.value?.range?.[1] ?? pair.key.range![1]
  if (text[end - 1] === '\n') return end
  const newline = text.indexOf('\n', end)
  return newline === -1 ? text.length : newline + 1
}

/** Touches only the lines of the setting; undefined where the layout is too special for that. */
function inPlace(text: string, path: readonly string[], value: unknown): string | undefined {
  const doc = parseDocument(text)
  const chain = chainOf(doc, path)
  const found = chain.length === path.length ? chain.at(-1) : undefined
  if (value === undefined) return found && remove(text, chain)
  if (found && isScalar(found.value) && typeof value !== 'object' && !String(value).includes('\n')) {
    const [start, end] = found.value.range!
    if (!text.slice(start, end).includes('\n') && end > start) {
      return text.slice(0, start) + inline(value) + text.slice(end)
    }
  }
  if (found) return replace(text, startOf(found), endOf(text, found), found, { [path.at(-1)!]: value })
  const around = chain.at(-1)
  const missing = path.slice(chain.length)
  const snippet = missing.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value)
  const map = around ? around.value : doc.contents
  if (!isMap(map)) {
    return around ? undefined : `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${block(snippet)}`
  }
  const last = (map as YAMLMap).items.at(-1) as Item | undefined
  if (!last) return undefined
  const end = endOf(text, last)
  // Who keeps empty lines between groups gets one before a new group, too.
  const gap = !around && missing.length > 1 && /\n\r?\n/.test(text) ? '\n' : ''
  return replace(text, end, end, last, snippet, gap)
}

/** Puts `values` between two offsets, indented as `like` is. */
function replace(
  text: string,
  from: number,
  to: number,
  like: Item,
  values: unknown,
  gap = '',
): string | undefined {
  const lineStart = text.lastIndexOf('\n', startOf(like) - 1) + 1
  const indent = text.slice(lineStart, startOf(like))
  if (indent.trim() !== '') return undefined
  const start = from === startOf(like) ? lineStart : from
  const lines = block(values).replace(/^(?=.)/gm, indent)
  const head = text.slice(0, start)
  return `${head}${head === '' || head.endsWith('\n') ? '' : '\n'}${gap}${lines}${text.slice(to)}`
}

/** Removes the last pair of a chain, and the groups around it that have nothing else. */
function remove(text: string, chain: Item[]): string | undefined {
  let index = chain.length - 1
  while (index > 0 && (chain[index - 1]!.value as unknown as YAMLMap).items.length === 1) index--
  const pair = chain[index]!
  const lineStart = text.lastIndexOf('\n', startOf(pair) - 1) + 1
  if (text.slice(lineStart, startOf(pair)).trim() !== '') return undefined
  return text.slice(0, lineStart) + text.slice(endOf(text, pair))
}

function afresh(text: string, path: readonly string[], value: unknown): string {
  const doc = parseDocument(text)
  if (value !== undefined) doc.setIn(path, value)
  else {
    let depth = chainOf(doc, path).length
    while (depth > 1 && (doc.getIn(path.slice(0, depth - 1)) as YAMLMap | undefined)?.items.length === 1) depth--
    doc.deleteIn(path.slice(0, depth))
  }
  return doc.toString({ lineWidth: 0 })
}

const block = (values: unknown): string => stringify(values, { lineWidth: 0 })

const inline = (value: unknown): string => stringify(value, { lineWidth: 0 }).trimEnd()

/** With keys in order, to compare by content. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isGroup(value)) return value
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
}
