import type { Command } from './command.ts'

/** The row of the table; `main.ts` starts the server before it loads the table. */
export const serveCommand: Command = {
  name: 'serve',
  summary: 'Run the server; also what happens without a command',
  options: {
    host: { value: 'ADDRESS', summary: 'Address to listen on (HOST; 127.0.0.1)' },
    port: { value: 'NUMBER', summary: 'Port to listen on (PORT; 8765)' },
  },
  run: async ({ env, flags }) => {
    const [{ serve }, { currentRuntime }] = await Promise.all([import('./serve.ts'), import('../runtime/current.ts')])
    const given = ['home', 'host', 'port'].filter((name) => flags[name] !== undefined)
    await serve(given.flatMap((name) => [`--${name}`, String(flags[name])]), env, await currentRuntime())
  },
}
