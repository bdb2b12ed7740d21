import type { Program, RuntimeName } from './processes.ts'
import type { Row } from './table.ts'

/** What a case is given. */
export type Bench = {
  runtime: RuntimeName
  /** Small sizes: a look, not a measurement. */
  quick: boolean
  /** Turns beyond the usual ones, to see whether memory grows. */
  growth: number
  upstream: Program
  add(row: Omit<Row, 'case' | 'runtime'>): void
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!

/** Runs `work` beside a program that is stopped afterwards. */
export async function beside<T>(starting: Promise<Program>, work: (program: Program) => Promise<T>): Promise<T> {
  const program = await starting
  try {
    return await work(program)
  } finally {
    await program.stop()
  }
}
