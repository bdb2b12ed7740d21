import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { platform } from 'node:os'
import { dirname, join } from 'node:path'
import { AppError } from '../errors.ts'

/** Bytes of an AES-256 key. */
const SIZE = 32

/**
 * The key that seals secrets: `GATEHOUSE_SECRET_KEY`, else the file that `GATEHOUSE_SECRET_KEY_FILE` names,
 * else `<home>/secret.key`, which is made on first start. Throws `unavailable` and says what to do.
 */
export function loadKey(home: string, env: Record<string, string | undefined>, file?: string): Uint8Array {
  if (env.GATEHOUSE_SECRET_KEY) return parse(env.GATEHOUSE_SECRET_KEY, 'GATEHOUSE_SECRET_KEY')
  const given = file ?? env.GATEHOUSE_SECRET_KEY_FILE
  if (given) return readKeyFile(given)
  const path = join(home, 'secret.key')
  try {
    return readKeyFile(path)
  } catch (error) {
    if ((error as { cause?: { code?: string } }).cause?.code !== 'ENOENT') throw error
  }
  createKeyFile(path)
  return readKeyFile(path)
}

function readKeyFile(path: string): Uint8Array {
  let text: string
  let mode: number
  try {
    mode = statSync(path).mode
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new AppError('unavailable', `The secret key ${path} can't be read: ${(cause as Error).message}`, { cause })
  }
  // Windows has no such bits; there the folder's own access list counts.
  if (platform() !== 'win32' && (mode & 0o077) !== 0) {
    throw new AppError('unavailable', `The secret key ${path} can be read by other users. Run: chmod 600 '${path}'`)
  }
  return parse(text, path)
}

/** Written beside and linked into place: a reader never sees half a key, and of two starts at once one key wins. */
function createKeyFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  const handle = openSync(draft, 'wx', 0o600)
  try {
    writeSync(handle, randomBytes(SIZE).toString('base64') + '\n')
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  try {
    linkSync(draft, path)
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
  } finally {
    unlinkSync(draft)
  }
}

/** 32 bytes as base64, base64url or hex. */
function parse(text: string, from: string): Uint8Array {
  const value = text.trim()
  const key = Buffer.from(value, /^[0-9a-f]{64}$/i.test(value) ? 'hex' : 'base64')
  if (key.length === SIZE) return key
  throw new AppError(
    'unavailable',
    `${from} is not a secret key: it must hold 32 bytes as base64 or hex. Restore it from a backup, or make one with: ` +
      'openssl rand -base64 32',
  )
}
