import process from 'node:process'
import { format } from 'node:util'

/** Bytes of the longest line that the core reads; a longer one is dropped there. */
export const MAX_LINE = 1024 * 1024

/** Lines of a stream without their ends: split on LF only, of any length, bad UTF-8 replaced. */
export async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let parts: Uint8Array[] = []
  const take = (): string => {
    const line = decoder.decode(parts.length === 1 ? parts[0] : Buffer.concat(parts))
    parts = []
    return line.endsWith('\r') ? line.slice(0, -1) : line
  }
  for await (const chunk of stream) {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, at))
      yield take()
      from = at + 1
    }
    if (from < chunk.length) parts.push(chunk.subarray(from))
  }
  if (parts.length > 0) yield take()
}

/** The other end does not read any more: the core is gone. */
export class OutputClosed extends Error {}

/** A line on stderr, which the core keeps as the plugin's log. */
export const note = (line: unknown): void => void process.stderr.write(`${format(line)}\n`)

/** Takes one line; resolves when the operating system has it, so that a slow core holds the plugin back. */
export type WriteLine = (line: string) => Promise<void>

/** stdout as protocol. What code or packages print with `console` goes to stderr, where it does no harm. */
export function openStdout(): { write: WriteLine; flushed(): Promise<void> } {
  for (const name of ['log', 'info', 'debug'] as const) {
    console[name] = (...args: unknown[]) => note(format(...args))
  }
  const writeAll = openOutput()
  const encoder = new TextEncoder()
  let last: Promise<void> = Promise.resolve()
  const write: WriteLine = (line) => {
    const bytes = encoder.encode(`${line}\n`)
    if (bytes.length > MAX_LINE) {
      return Promise.reject(new RangeError(`A message of ${bytes.length} bytes is longer than the ${MAX_LINE} allowed`))
    }
    const done = last.then(() => writeAll(bytes))
    last = done.catch(() => {})
    return done
  }
  return { write, flushed: () => last }
}

type Stdout = { write(bytes: Uint8Array): Promise<number> }

function openOutput(): (bytes: Uint8Array) => Promise<void> {
  // Under Deno, `process.stdout` takes any amount at once; only its own stream tells when the bytes went out.
  const own = (globalThis as { Deno?: { stdout: Stdout } }).Deno?.stdout
  if (own) {
    return async (bytes) => {
      try {
        for (let from = 0; from < bytes.length;) from += await own.write(bytes.subarray(from))
      } catch (error) {
        throw new OutputClosed('The core reads no more', { cause: error })
      }
    }
  }
  // The callback of the write hears of it.
  process.stdout.on('error', () => {})
  return (bytes) =>
    new Promise((resolve, reject) =>
      process.stdout.write(
        bytes,
        (error) => error ? reject(new OutputClosed('The core reads no more', { cause: error })) : resolve(),
      )
    )
}
