import { invalid } from '../errors.ts'
import { isSecretPath } from './schema.ts'
import { mapLeaves, valueAt } from './values.ts'

const REFERENCE = /^\$\{[A-Za-z_]\w*\}$/

/** Whether a value is only a reference such as `${BOT_TOKEN}`; that is no secret. */
export const isReference = (value: unknown): boolean => typeof value === 'string' && REFERENCE.test(value)

/** Whether the value at `path` must be kept out of answers. */
export const isSecret = (value: unknown, path: readonly string[]): boolean =>
  value !== null && value !== undefined && value !== '' && typeof value !== 'boolean' && !isReference(value) &&
  isSecretPath(path)

/** `****` and, of long ones, the last four characters, so that a person recognises which one it is. */
export const mask = (secret: unknown): string => {
  const text = String(secret)
  return text.length >= 16 ? `****${text.slice(-4)}` : '****'
}

const looksMasked = (value: unknown): value is string => typeof value === 'string' && /^\*{4}.{0,4}$/s.test(value)

/** A copy fit for an answer: secrets masked, references kept. `at` is where `values` stand in the configuration. */
export const masked = (values: unknown, at: string[] = []): unknown =>
  mapLeaves(values, (value, path) => isSecret(value, path) ? mask(value) : value, at)

/**
 * What a client sent for the place `at`, with masks that it got from us replaced by the secrets of `old`, the whole
 * configuration before.
 * Throws `invalid_input` for a mask that stands for nothing, lest asterisks be saved as a secret.
 */
export const unmasked = (values: unknown, old: unknown, at: string[] = []): unknown =>
  mapLeaves(values, (value, path) => {
    if (!looksMasked(value) || !isSecretPath(path)) return value
    const before = valueAt(old, path)
    if (before !== undefined && mask(before) === value) return before
    throw invalid(path.join('.'), 'this is the masked form of a secret; send the secret itself, or leave it out')
  }, at)
