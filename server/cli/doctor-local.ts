import { access, constants, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { readText } from '../config/file.ts'
import { configPath, evaluate } from '../config/load.ts'
import { currentRuntime } from '../runtime/current.ts'
import type { Context } from './command.ts'
import { describe } from './config.ts'
import type { Check } from './doctor.ts'

const ok = (message: string): Check => ({ status: 'ok', message })
const warn = (message: string): Check => ({ status: 'warn', message })
const error = (message: string): Check => ({ status: 'error', message })

/** The first Node that runs TypeScript as it is. */
const OLDEST_NODE = 22
const MEBIBYTE = 1024 ** 2
/** As `start.ts` serves it. */
const WEB_ROOT = join(import.meta.dirname, '..', '..', 'web', 'build')
const DISK_FLOOR = 50 * MEBIBYTE
const DISK_LOW = 1024 * MEBIBYTE

export async function checkRuntime(): Promise<Check[]> {
  const { name, version } = await currentRuntime()
  const running = `${name} ${version} on ${process.platform} ${process.arch}`
  const isOld = name === 'node' && Number.parseInt(version.replace(/^v/, '')) < OLDEST_NODE
  return [isOld ? error(`${running} is too old; Node ${OLDEST_NODE} or newer is needed`) : ok(running)]
}

/** Rights and room of the home folder. */
export async function checkHome({ home }: Context): Promise<Check[]> {
  const info = await stat(home).catch(() => undefined)
  if (!info) return [ok(`${home} does not exist yet; the first start makes it`)]
  if (!info.isDirectory()) return [error(`${home} is not a folder`)]
  const checks: Check[] = []
  const writable = await access(home, constants.R_OK | constants.W_OK | constants.X_OK).then(() => true, () => false)
  checks.push(writable ? ok(`${home} can be written`) : error(`${home} can't be written by this account`))
  if (process.platform !== 'win32' && (info.mode & 0o077) !== 0) {
    checks.push(warn(`Other accounts of this machine may look into ${home}; mend it with: chmod 700 ${home}`))
  }
  const disk = await statfs(home).catch(() => undefined)
  if (disk) {
    const free = disk.bavail * disk.bsize
    const message = `${Math.floor(free / MEBIBYTE)} MiB are free on its disk`
    checks.push(free < DISK_FLOOR ? error(message) : free < DISK_LOW ? warn(message) : ok(message))
  }
  return checks
}

/** The file with what the environment and `.env` add; reads only. */
export async function checkConfiguration({ env, home }: Context): Promise<Check[]> {
  const text = await readText(configPath(home))
  const { problems } = await evaluate({ home, env }, text ?? '')
  if (problems.length === 0) return [ok(text === undefined ? 'No gatehouse.yaml; defaults count' : configPath(home))]
  return problems.map((problem) => problem.severity === 'error' ? error(describe(problem)) : warn(describe(problem)))
}

/** The database file; its content only when asked for, for that reads all of it. */
export async function checkDatabase({ env, home }: Context, deep: boolean): Promise<Check[]> {
  const { good } = await evaluate({ home, env }, await readText(configPath(home)) ?? '')
  const url = good?.config.database.url ?? pathToFileURL(join(home, 'gatehouse.db')).href
  if (!url.startsWith('file:')) return [ok(`A remote one: ${new URL(url).host}`)]
  const path = fileURLToPath(new URL(url))
  const info = await stat(path).catch(() => undefined)
  if (!info) return [ok('There is none yet; the first start makes it')]
  const checks = [ok(`${path}, ${Math.ceil(info.size / MEBIBYTE)} MiB`)]
  if (deep) checks.push(await quickCheck(path))
  return checks
}

async function quickCheck(path: string): Promise<Check> {
  const { default: Database } = await import('libsql')
  try {
    const database = new Database(path, { readonly: true })
    try {
      const rows = database.prepare('pragma quick_check').all() as { quick_check: string }[]
      const bad = rows.map((row) => row.quick_check).filter((result) => result !== 'ok')
      return bad.length === 0 ? ok('Its content is sound') : error(`It is damaged: ${bad.slice(0, 3).join('; ')}`)
    } finally {
      database.close()
    }
  } catch (reason) {
    return error(`It can't be read: ${(reason as Error).message}`)
  }
}

/** The pages that the server shows. */
export async function checkInterface(): Promise<Check[]> {
  const built = await stat(join(WEB_ROOT, 'index.html')).then(() => true, () => false)
  return [built ? ok(`Built in ${WEB_ROOT}`) : warn('Not built; the API works without it. Build it with: npm start')]
}
