import process from 'node:process'
import { clearLine, createInterface, cursorTo, type Interface } from 'node:readline'
import { HISTORY_LENGTH } from './history.ts'

/** How a read ended: `interrupt` is Ctrl-C on an empty line, `aborted` by the signal, `end` Ctrl-D or no more input. */
export type Line = { type: 'line'; text: string } | { type: 'interrupt' } | { type: 'aborted' } | { type: 'end' }

/** Lines that a person, or a pipe, enters. */
export type Lines = {
  /** Asks for one line. What was typed when `signal` aborts is there again at the next read. */
  read(prompt: string, signal: AbortSignal): Promise<Line>
  /** Ctrl-C that came as a signal. Returns false when nothing is being read. */
  interrupt(): boolean
  close(): void
}

type Options = { history: string[]; complete: (start: string) => string[] }

/** With editing, history and completion on a terminal; plain lines from a pipe. */
export const createLines = (options: Options): Lines =>
  process.stdin.isTTY && process.stdout.isTTY ? terminalLines(options) : pipedLines()

/**
 * The editor exists only while a line is asked for. In between the terminal is in its normal state, so that Ctrl-C
 * is a signal and what is typed waits for the next line.
 */
function terminalLines({ history, complete }: Options): Lines {
  const typedAhead: string[] = []
  let unfinished = ''
  let interrupt: (() => boolean) | undefined
  return {
    read(prompt, signal) {
      const ready = typedAhead.shift()
      if (ready !== undefined) {
        process.stdout.write(`${prompt}${ready}\n`)
        return Promise.resolve({ type: 'line', text: ready })
      }
      return new Promise((resolve) => {
        const editor = createInterface({
          input: process.stdin,
          output: process.stdout,
          terminal: true,
          prompt,
          history: [...history],
          historySize: HISTORY_LENGTH,
          removeHistoryDuplicates: true,
          completer: (start: string) => [complete(start), start],
        })
        let settled = false
        const settle = (line: Line): void => {
          if (settled) return
          settled = true
          interrupt = undefined
          signal.removeEventListener('abort', abort)
          resolve(line)
          editor.close()
        }
        const abort = (): void => {
          unfinished = editor.line
          cursorTo(process.stdout, 0)
          clearLine(process.stdout, 0)
          settle({ type: 'aborted' })
        }
        interrupt = () => {
          process.stdout.write('\n')
          if (editor.line === '') settle({ type: 'interrupt' })
          else emptyLine(editor)
          return true
        }
        editor.on('line', (text) => {
          if (settled) return void typedAhead.push(text)
          if (text.trim() !== '' && text !== history[0]) history.unshift(text)
          settle({ type: 'line', text })
        })
        editor.on('SIGINT', () => interrupt?.())
        editor.on('close', () => {
          if (!settled) process.stdout.write('\n')
          settle({ type: 'end' })
        })
        signal.addEventListener('abort', abort, { once: true })
        editor.prompt()
        if (unfinished !== '') editor.write(unfinished)
        unfinished = ''
      })
    },
    interrupt: () => interrupt?.() ?? false,
    close: () => process.stdin.pause(),
  }
}

function emptyLine(editor: Interface): void {
  editor.write(null, { ctrl: true, name: 'e' })
  editor.write(null, { ctrl: true, name: 'u' })
}

function pipedLines(): Lines {
  const waiting: string[] = []
  let ended = false
  let settle: ((line: Line) => void) | undefined
  const reader = createInterface({ input: process.stdin, terminal: false })
  const next = (): Line | undefined => {
    const text = waiting.shift()
    if (text !== undefined) return { type: 'line', text }
    return ended ? { type: 'end' } : undefined
  }
  const wake = (): void => {
    const line = settle && next()
    if (line) settle?.(line)
  }
  reader.on('line', (text) => {
    waiting.push(text)
    wake()
  })
  reader.on('close', () => {
    ended = true
    wake()
  })
  return {
    read(_prompt, signal) {
      const line = next()
      if (line) return Promise.resolve(line)
      return new Promise((resolve) => {
        const abort = (): void => settle?.({ type: 'aborted' })
        settle = (line) => {
          settle = undefined
          signal.removeEventListener('abort', abort)
          resolve(line)
        }
        signal.addEventListener('abort', abort, { once: true })
      })
    },
    interrupt() {
      if (!settle) return false
      settle({ type: 'interrupt' })
      return true
    },
    close() {
      reader.close()
      process.stdin.destroy()
    },
  }
}
