import { createServer } from 'node:net'
import type { AvailableModels, Provider } from '../../shared/models.ts'
import { readText } from '../config/file.ts'
import { configPath, evaluate } from '../config/load.ts'
import { cleanLine } from './clean.ts'
import type { Context } from './command.ts'
import type { Check } from './doctor.ts'
import { CliError, EXIT } from './exit-codes.ts'

/** Whether one runs and is ready; else whether one could start. */
export async function checkServer({ client, env, home }: Context): Promise<Check[]> {
  const { url, local } = await client.target()
  try {
    const { version } = await client.get<{ version: string }>('/api/health')
    const checks: Check[] = [{ status: 'ok', message: `Version ${cleanLine(version)} answers at ${url}` }]
    const ready = await client.request('GET', '/readyz').then(() => undefined, (error: Error) => error.message)
    if (ready !== undefined) checks.push({ status: 'error', message: `It is not ready: ${ready}` })
    return checks
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    if (error.exitCode !== EXIT.noServer) return [{ status: 'error', message: error.message }]
    if (local) return [{ status: 'error', message: `Its process runs, but nothing answers at ${url}` }]
    return [{ status: 'ok', message: 'None runs' }, await checkPort(env, home)]
  }
}

async function checkPort(env: Context['env'], home: string): Promise<Check> {
  const { good } = await evaluate({ home, env }, await readText(configPath(home)) ?? '')
  const { host, port } = good?.config.server ?? { host: '127.0.0.1', port: 8765 }
  const probe = createServer()
  const problem = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    probe.once('error', resolve)
    probe.listen(port, host, () => resolve(undefined))
  })
  probe.close()
  const name = `${host}:${port}`
  if (!problem) return { status: 'ok', message: `${name} is free` }
  const message = problem.code === 'EADDRINUSE'
    ? `${name} is taken by another program; choose another with PORT or server.port`
    : `${name} can't be listened on: ${problem.message}`
  return { status: 'error', message }
}

/** Asks each provider for its list of models, which costs nothing. */
export async function checkModels({ client }: Context): Promise<Check[]> {
  try {
    const { providers } = await client.get<{ providers: Provider[] }>('/api/providers')
    const enabled = providers.filter((provider) => provider.enabled && provider.kind === 'llm')
    if (enabled.length === 0) {
      return [{ status: 'warn', message: 'Only the built-in assistant answers; connect a model in the web page' }]
    }
    return await Promise.all(enabled.map(async ({ id, name }): Promise<Check> => {
      const path = `/api/models/available?provider_id=${id}&refresh=1`
      const { models, error } = await client.get<AvailableModels>(path)
      return error
        ? { status: 'error', message: cleanLine(`${name}: ${error}`) }
        : { status: 'ok', message: `${cleanLine(name)} offers ${models.length} models` }
    }))
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    if (error.exitCode === EXIT.noServer) return [{ status: 'ok', message: 'Not asked, for no server runs' }]
    return [{ status: 'warn', message: `Not asked: ${error.message}` }]
  }
}
