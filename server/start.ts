import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { createApp } from './app.ts'
import { removeRunFile, writeRunFile } from './cli/run-file.ts'
import type { Environment } from './config/environment.ts'
import { homeOf } from './config/home.ts'
import { loadConfig } from './config/load.ts'
import { damageOf } from './db/damage.ts'
import { lockHome } from './db/lock.ts'
import { migrate } from './db/migrate.ts'
import { openDatabase } from './db/open.ts'
import type { Runtime } from './runtime/port.ts'
import { createLog, type LogOutput } from './system/logs.ts'
import { readBuild } from './system/build.ts'

export type StartOptions = {
  env: Environment
  /** From the command line: `home`, and configuration by dotted path. */
  flags: Record<string, unknown>
  runtime: Runtime
  stdout: LogOutput
  /** Taken when the configuration says 0; any free one when left out. */
  freePort?: number | undefined
}

export type Started = {
  url: string
  home: string
  /** Opens the first browser; undefined once there is an owner. */
  link: string | undefined
  /** Resolves when somebody asked for a restart. */
  restartRequested: Promise<void>
  /** Resolves when somebody asked over the API that the process ends. */
  shutdownRequested: Promise<void>
  /** Tells the streams, finishes what is under way, writes everything; at most ten seconds. */
  stop(): Promise<void>
}

/** How long requests in flight may take after the streams were told to end. */
const GRACE_MS = 3000

/** Opens the home and listens. Throws with a message for people when the home is in use, or the address taken. */
export async function start({ env, flags, runtime, stdout, freePort = 0 }: StartOptions): Promise<Started> {
  const home = homeOf(env, flags.home)
  await mkdir(home, { recursive: true, mode: 0o700 })
  const lock = await lockHome(home)
  const undo: (() => unknown)[] = [() => lock.release()]
  let url = pathToFileURL(join(home, 'gatehouse.db')).href
  try {
    const { home: _, ...settings } = flags
    const loaded = await loadConfig({ home, env, flags: settings })
    const log = createLog({ home, level: loaded.config.logging.level, stdout })
    undo.unshift(() => log.stop())
    url = loaded.config.database.url ?? url
    const database = await openDatabase({ url, authToken: loaded.config.database.auth_token, log })
    undo.unshift(() => database.close())
    await migrate(database)

    let requestRestart: () => void = () => {}
    const restartRequested = new Promise<void>((resolve) => (requestRestart = resolve))
    let requestShutdown: () => void = () => {}
    const shutdownRequested = new Promise<void>((resolve) => (requestShutdown = resolve))
    // What begins with a dash would be no value of `--token`.
    const terminalToken = randomBytes(32).toString('hex')
    const build = readBuild()
    const app = await createApp({
      home,
      database,
      log,
      loaded,
      env,
      flags: settings,
      runtime,
      build,
      webRoot: join(import.meta.dirname, '..', 'web', 'build'),
      restart: requestRestart,
      shutdown: requestShutdown,
      terminalToken,
    })
    undo.unshift(() => app.stop())
    await app.start()

    const { host, port } = loaded.config.server
    const listening = await runtime.serve({
      hostname: host,
      port: port || freePort,
      fetch: app.fetch,
      upgrade: app.upgrade,
    })
    const address = `http://${host.includes(':') ? `[${host}]` : host}:${listening.port}`
    log.info('server.listening', `Gatehouse listens on ${address}`, {
      address,
      home,
      runtime: runtime.name,
      runtime_version: runtime.version,
    })
    undo.unshift(() => listening.stop(0))
    await writeRunFile(home, {
      url: `http://${reachable(host)}:${listening.port}`,
      pid: process.pid,
      version: build.version,
      started_at: Math.round(Date.now() / 1000),
      token: terminalToken,
    })
    undo.unshift(() => removeRunFile(home))
    const link = await app.auth.links.first(loaded.config.server.public_url ?? address)

    return {
      url: address,
      home,
      link,
      restartRequested,
      shutdownRequested,
      async stop() {
        await removeRunFile(home)
        await app.stop()
        await listening.stop(GRACE_MS)
        await database.close()
        await log.stop()
        lock.release()
      },
    }
  } catch (error) {
    for (const step of undo) await Promise.resolve(step()).catch(() => {})
    throw damageOf(error, url) ?? error
  }
}

/** The address that programs on this machine use for a server that listens on `host`. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}
