import process from 'node:process'
import type { Environment } from '../config/environment.ts'
import { cleanLine, safeJson } from './clean.ts'

type Paint = (text: string) => string

/** Colours; each leaves the text alone where they are not wanted. */
export type Style = { bold: Paint; dim: Paint; red: Paint; green: Paint; yellow: Paint; cyan: Paint }

/** Where a command writes: results to stdout, everything else to stderr. */
export type Output = {
  json: boolean
  style: Style
  /** Raw text to stdout; callers clean what others wrote. */
  write(text: string): void
  /** One line on stdout. */
  print(line?: string): void
  /** One line on stderr. */
  note(line: string): void
  /** A result: as JSON when asked for, else as people read it. */
  show(value: unknown, human: () => void): void
  /** Rows under their headings, cleaned; `empty` is said when there are none. */
  table(headings: string[], rows: (string | number | null | undefined)[][], empty: string): void
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const

/** Colours only on a terminal, and never with NO_COLOR (https://no-color.org). */
export function createOutput(env: Environment, { json }: { json: boolean }): Output {
  const coloured = process.stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'
  const paint = (code: number): Paint => (text) => coloured && text !== '' ? `\x1b[${code}m${text}\x1b[0m` : text
  const style = Object.fromEntries(Object.entries(CODES).map(([name, code]) => [name, paint(code)])) as Style

  const write = (text: string): void => void process.stdout.write(text)
  const print = (line = ''): void => write(`${line}\n`)
  return {
    json,
    style,
    write,
    print,
    note: (line) => void process.stderr.write(`${line}\n`),
    show: (value, human) => json ? print(safeJson(value, 2)) : human(),
    table(headings, rows, empty) {
      if (rows.length === 0) return print(style.dim(empty))
      const cells = rows.map((row) => row.map((cell) => cleanLine(String(cell ?? ''))))
      const widths = headings.map((heading, i) => Math.max(heading.length, ...cells.map((row) => row[i]!.length)))
      const line = (row: string[]): string => row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ').trimEnd()
      print(style.dim(line(headings)))
      for (const row of cells) print(line(row))
    },
  }
}

/** A time as people of this machine's zone read it; empty without one. */
export function when(epochSeconds: number | null | undefined): string {
  if (!epochSeconds) return ''
  const date = new Date(epochSeconds * 1000)
  const local = new Date(date.getTime() - date.getTimezoneOffset() * 60_000)
  return local.toISOString().slice(0, 16).replace('T', ' ')
}

/** The beginning of a text on one line, with an ellipsis when something is left out. */
export function shorten(text: string, length: number): string {
  const line = cleanLine(text).trim()
  return line.length > length ? `${line.slice(0, length - 1)}…` : line
}
