import process from 'node:process'
import { createInterface } from 'node:readline/promises'

/** Asks on the terminal; no where there is none to ask on, or nothing is answered. */
export async function isSure(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await Promise.race([
      terminal.question(`${question} [y]es, [n]o: `),
      new Promise<string>((resolve) => terminal.once('close', () => resolve(''))),
    ])
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}
