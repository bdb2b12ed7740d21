import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { AppError } from '../errors.ts'
import { loadKey } from './key.ts'

/** Seals what must not lie in the database as plain text: provider keys, bot tokens, secret settings of plugins. */
export type Secrets = {
  /** `v1:<key id>:<base64url of nonce, ciphertext and tag>`. */
  seal(plain: string): string
  /** Throws `unavailable` when the text was sealed with another key or was changed. */
  open(sealed: string): string
}

const NONCE = 12
const TAG = 16

/**
 * AES-256-GCM under the key of this home (see `key.ts`). The format's version and the key's id are
 * authenticated along, so that "another key" and "changed" can be told apart.
 */
export function createSecrets(
  { home, env, file }: { home: string; env: Record<string, string | undefined>; file?: string },
): Secrets {
  const key = loadKey(home, env, file)
  const keyId = createHash('sha256').update('gatehouse key id').update(key).digest('hex').slice(0, 8)
  const head = `v1:${keyId}:`
  return {
    seal: (plain) => {
      const nonce = randomBytes(NONCE)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(head))
      const parts = [nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]
      return head + Buffer.concat(parts).toString('base64url')
    },
    open: (sealed) => {
      const [version, sealedBy, body, ...more] = sealed.split(':')
      if (version !== 'v1' || !sealedBy || body === undefined || more.length > 0) {
        throw new AppError('unavailable', 'A stored secret has an unknown format. Enter it again.')
      }
      if (sealedBy !== keyId) {
        throw new AppError(
          'unavailable',
          `A stored secret was sealed with another key (${sealedBy}, this home has ${keyId}). ` +
            'Restore the secret.key that belongs to this database, or enter the secret again.',
        )
      }
      try {
        return decrypt(key, head, Buffer.from(body, 'base64url'))
      } catch (cause) {
        throw new AppError('unavailable', 'A stored secret is damaged. Enter it again.', { cause })
      }
    },
  }
}

function decrypt(key: Uint8Array, head: string, bytes: Buffer): string {
  const end = bytes.length - TAG
  const opener = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE), { authTagLength: TAG })
    .setAAD(Buffer.from(head))
    .setAuthTag(bytes.subarray(end))
  return opener.update(bytes.subarray(NONCE, end), undefined, 'utf8') + opener.final('utf8')
}
