import process from 'node:process'
import { parseArgs } from 'node:util'
import type { Environment } from '../config/environment.ts'
import type { Runtime } from '../runtime/port.ts'
import { start } from '../start.ts'

/** Exit codes: 0 stopped as asked, 1 could not start, 2 wrong arguments. */
const COULD_NOT_START = 1
const WRONG_ARGUMENTS = 2

const HELP = `gatehouse serve [--home FOLDER] [--host ADDRESS] [--port NUMBER]

Listens for browsers, chat bots and API clients. Everything is kept in the home folder.
`

/** Runs the server until SIGTERM or SIGINT; a restart asked for over the API begins again in this process. */
export async function serve(args: string[], env: Environment, runtime: Runtime): Promise<void> {
  let flags: Record<string, unknown>
  try {
    flags = parseFlags(args)
  } catch (error) {
    process.stderr.write(`gatehouse: ${(error as Error).message}\n${HELP}`)
    process.exitCode = WRONG_ARGUMENTS
    return
  }
  if (flags.help) return void process.stdout.write(HELP)
  delete flags.help

  // Whoever read the output may go (`gatehouse | head`); the server stays.
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})

  // A promise that nobody waited for is a bug, and no reason to end every conversation: it is told.
  process.on('unhandledRejection', (reason) => {
    const stack = reason instanceof Error ? reason.stack : String(reason)
    process.stderr.write(`${JSON.stringify({ level: 'error', event: 'server.unhandled_rejection', message: stack })}\n`)
  })

  let signalled: () => void = () => {}
  const stopRequested = new Promise<'stop'>((resolve) => (signalled = () => resolve('stop')))
  runtime.onSignal(signalled)
  /** The one that was picked for port 0: after a restart clients look for us there. */
  let freePort: number | undefined
  for (;;) {
    let server
    try {
      server = await start({ env, flags, runtime, stdout: process.stdout, freePort })
    } catch (error) {
      process.stderr.write(`gatehouse: ${(error as Error).message}\n`)
      process.exit(COULD_NOT_START)
    }
    freePort = Number(new URL(server.url).port)
    greet(server)
    const why = await Promise.race([
      stopRequested,
      server.shutdownRequested.then(() => 'stop' as const),
      server.restartRequested.then(() => 'restart' as const),
    ])
    await server.stop()
    if (why === 'stop') process.exit(0)
  }
}

function parseFlags(args: string[]): Record<string, unknown> {
  const { values } = parseArgs({
    args,
    options: {
      home: { type: 'string' },
      host: { type: 'string' },
      port: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.port !== undefined && !/^\d{1,5}$/.test(values.port)) {
    throw new Error('--port must be a number from 0 to 65535')
  }
  return {
    ...(values.help ? { help: true } : {}),
    ...(values.home ? { home: values.home } : {}),
    ...(values.host ? { 'server.host': values.host } : {}),
    ...(values.port ? { 'server.port': Number(values.port) } : {}),
  }
}

function greet({ url, home, link }: { url: string; home: string; link: string | undefined }): void {
  const lines = [`Gatehouse is ready`, `  address  ${url}`, `  home     ${home}`]
  if (link) lines.push('', 'Open this link once, within 15 minutes, to make your browser the owner:', `  ${link}`)
  process.stdout.write(`\n${lines.join('\n')}\n\n`)
}
