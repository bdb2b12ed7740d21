/** One line of a comparison; `gap` stands for lines that are the same and left out. */
export type DiffLine =
  | { kind: 'same' | 'added' | 'removed'; text: string; before?: number; after?: number }
  | { kind: 'gap'; count: number }

/** Tables beyond this many cells cost more time than their detail is worth. */
const LARGEST = 4_000_000

/** What has to change for one text to become another, with a few lines around each change; empty when nothing has. */
export function lineDiff(before: string, after: string, context = 3): DiffLine[] {
  const a = linesOf(before)
  const b = linesOf(after)
  let top = 0
  while (top < a.length && top < b.length && a[top] === b[top]) top++
  let bottom = 0
  while (bottom < Math.min(a.length, b.length) - top && a.at(-1 - bottom) === b.at(-1 - bottom)) bottom++
  if (top === a.length && top === b.length) return []
  const middle = compare(a.slice(top, a.length - bottom), b.slice(top, b.length - bottom))
  return fold(
    number([...a.slice(0, top).map(same), ...middle, ...a.slice(a.length - bottom).map(same)]),
    context,
  )
}

/** How many lines came and went. */
export function countChanges(diff: DiffLine[]): { added: number; removed: number } {
  const count = (kind: DiffLine['kind']) => diff.filter((line) => line.kind === kind).length
  return { added: count('added'), removed: count('removed') }
}

type Plain = { kind: 'same' | 'added' | 'removed'; text: string; before?: number; after?: number }

const same = (text: string): Plain => ({ kind: 'same', text })
const linesOf = (text: string): string[] => text === '' ? [] : text.replace(/\r?\n$/, '').split(/\r?\n/)

/** By the longest common subsequence of lines. */
function compare(a: string[], b: string[]): Plain[] {
  const removed = a.map((text): Plain => ({ kind: 'removed', text }))
  const added = b.map((text): Plain => ({ kind: 'added', text }))
  const width = b.length + 1
  if ((a.length + 1) * width > LARGEST) return [...removed, ...added]
  const longest = new Uint16Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j]
        ? longest[(i + 1) * width + j + 1]! + 1
        : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!)
    }
  }
  const result: Plain[] = []
  let i = 0
  let j = 0
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      result.push(same(a[i]!))
      i++
      j++
    } else if (longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!) result.push(removed[i++]!)
    else result.push(added[j++]!)
  }
  return [...result, ...removed.slice(i), ...added.slice(j)]
}

/** Line numbers from 1. */
function number(lines: Plain[]): Plain[] {
  let before = 0
  let after = 0
  return lines.map((line) => ({
    ...line,
    ...(line.kind === 'added' ? {} : { before: ++before }),
    ...(line.kind === 'removed' ? {} : { after: ++after }),
  }))
}

function fold(lines: Plain[], context: number): DiffLine[] {
  const near = lines.map((_, index) =>
    lines.slice(Math.max(0, index - context), index + context + 1).some(({ kind }) => kind !== 'same')
  )
  const result: DiffLine[] = []
  for (const [index, line] of lines.entries()) {
    const last = result.at(-1)
    if (near[index]) result.push(line)
    else if (last?.kind === 'gap') last.count++
    else result.push({ kind: 'gap', count: 1 })
  }
  return result
}
