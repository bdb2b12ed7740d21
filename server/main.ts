#!/usr/bin/env node
import process from 'node:process'
import { readEnvironment } from './config/environment.ts'
import { currentRuntime } from './runtime/current.ts'

// Only `serve`, which is also what happens without a word, is quick to start: the rest loads the terminal client.
const [command] = process.argv.slice(2)
if (command === undefined || command === 'serve' || command.startsWith('--')) {
  const { serve } = await import('./cli/serve.ts')
  await serve(process.argv.slice(command === 'serve' ? 3 : 2), readEnvironment(), await currentRuntime())
} else {
  const { run } = await import('./cli/gatehouse.ts')
  process.exitCode = await run(process.argv.slice(2), readEnvironment())
}
