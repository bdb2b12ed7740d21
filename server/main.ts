#!/usr/bin/env node
import process from 'node:process'
import { loadServer } from './cli/bundled.ts'
import { readEnvironment } from './config/environment.ts'
import { keepCompiled } from './runtime/compile-cache.ts'

keepCompiled(readEnvironment().XDG_CACHE_HOME)

// Without a command it serves, and only that is quick to start: the rest loads the terminal client.
const [command] = process.argv.slice(2)
if (command === undefined || command === 'serve' || /^--(home|host|port)\b/.test(command)) {
  const { serve, currentRuntime } = await loadServer()
  await serve(process.argv.slice(command === 'serve' ? 3 : 2), readEnvironment(), await currentRuntime())
} else {
  const { run } = await import('./cli/gatehouse.ts')
  const code = await run(process.argv.slice(2), readEnvironment())
  // Connections that are kept open must not keep the program; what was written to a pipe must be out first.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)))
}
