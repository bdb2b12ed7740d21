import process from 'node:process'
import type { Runtime } from '../runtime/port.ts'

/** How a program on this machine starts `gatehouse mcp` for this home. */
export const programOf = ({ name }: Runtime, home: string): { command: string; args: string[] } => ({
  command: process.execPath,
  args: [...(name === 'deno' ? ['run', '-A'] : []), process.argv[1] ?? '', 'mcp', '--home', home],
})
