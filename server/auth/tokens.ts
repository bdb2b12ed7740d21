import { hash, randomBytes, randomInt } from 'node:crypto'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Without the letters that people take for digits or for each other (Crockford). */
const TYPEABLE = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** A secret of so many random bytes as base62, always of the same length. */
export function randomToken(bytes: number): string {
  let value = BigInt(`0x${randomBytes(bytes).toString('hex')}`)
  let text = ''
  for (let left = Math.ceil((bytes * 8) / Math.log2(62)); left > 0; left--) {
    text = BASE62[Number(value % 62n)] + text
    value /= 62n
  }
  return text
}

/** A short code for typing: `ABCD-EFGH`, 40 bits. */
export function randomShortCode(): string {
  const code = Array.from({ length: 8 }, () => TYPEABLE[randomInt(TYPEABLE.length)]).join('')
  return `${code.slice(0, 4)}-${code.slice(4)}`
}

/** Forgives case, dashes and look-alike letters in a typed code; leaves long codes as they are. */
export function normalCode(code: string): string {
  const typed = code.replace(/[\s-]/g, '')
  if (typed.length !== 8) return code.trim()
  const plain = typed.toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1')
  return `${plain.slice(0, 4)}-${plain.slice(4)}`
}

/** What is stored of a secret. A slow hash would add nothing: 128 random bits and more can't be searched. */
export const hashOf = (token: string): string => hash('sha256', token, 'base64url')
