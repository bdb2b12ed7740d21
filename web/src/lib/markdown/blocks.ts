import { lexer, type Token } from 'marked'

/** One top-level piece of a Markdown text; `start` (its place in the source) is its key while the text grows. */
export type Block = { start: number; token: Token }

/**
 * Splits a growing Markdown text into top-level blocks. Text that was only appended to costs one pass over its last
 * block, however long it is, for Markdown above that block can no longer change its meaning.
 */
export function createSplitter(): (source: string) => Block[] {
  let seen = ''
  let blocks: Block[] = []

  return (text) => {
    const source = plainLines(text)
    if (source === seen) return blocks
    const grows = seen !== '' && source.startsWith(seen)
    const kept = grows ? settled(blocks) : []
    const from = grows ? (blocks[kept.length]?.start ?? 0) : 0
    blocks = [...kept, ...split(source.slice(from), from)]
    seen = source
    return blocks
  }
}

/** A list is not settled while the few characters after it ("2", then "2.") may become its next item. */
function settled(blocks: Block[]): Block[] {
  const maybeItem = blocks.at(-2)?.token.type === 'list' && blocks.at(-1)!.token.raw.length < 12
  return blocks.slice(0, maybeItem ? -2 : -1)
}

/** Every block of a finished text, its link definitions resolved wherever they stand. */
export const splitBlocks = (source: string): Block[] => split(plainLines(source), 0)

/** The lexer works on `\n` alone, and offsets must count what it counts. */
const plainLines = (text: string): string => text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text

function split(source: string, offset: number): Block[] {
  const blocks: Block[] = []
  let start = offset
  for (const token of lexer(source, { gfm: true })) {
    if (token.type !== 'space' && token.type !== 'def') blocks.push({ start, token })
    start += token.raw.length
  }
  return blocks
}
