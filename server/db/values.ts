/** What the database can hold; integers beyond 2^53 are bigint in both directions. */
export type SqlValue = null | string | number | bigint | Uint8Array

export type Row = Record<string, SqlValue>

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)

/**
 * Parameters as the native binding may safely take them: it ends the whole process when it is handed a boolean or an
 * object. Booleans become 0/1, dates ISO text, undefined null, whole numbers integers (the binding would store `1` in
 * a text column as `1.0`). Throws TypeError that names the parameter for everything that has no place in SQL.
 */
export function bindable(parameters: readonly unknown[]): SqlValue[] {
  const bound = new Array<SqlValue>(parameters.length)
  for (let i = 0; i < parameters.length; i++) bound[i] = bindOne(parameters[i], i)
  return bound
}

function bindOne(value: unknown, index: number): SqlValue {
  switch (typeof value) {
    case 'string':
      // SQLite's text ends at a NUL: what comes behind it would be lost.
      return value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value
    case 'number':
      if (Number.isSafeInteger(value)) return BigInt(value)
      if (Number.isFinite(value)) return value
      throw refused(index, `is ${value}, which SQL has no number for; pass null or a finite number`)
    case 'bigint':
      if (value >= INT64_MIN && value <= INT64_MAX) return value
      throw refused(index, 'is a bigint that does not fit into 64 bits')
    case 'boolean':
      return value ? 1n : 0n
    case 'undefined':
      return null
    case 'object':
      return bindObject(value, index)
    default:
      throw refused(index, `is a ${typeof value}; pass text, a number, bytes or null`)
  }
}

function bindObject(value: object | null, index: number): SqlValue {
  if (value === null) return null
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw refused(index, 'is an invalid Date')
    return value.toISOString()
  }
  if (value instanceof Uint8Array) return value
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  const what = Array.isArray(value) ? 'an array' : 'an object'
  throw refused(index, `is ${what}; use JSON.stringify to store it, or one parameter for each of its values`)
}

const refused = (index: number, why: string) => new TypeError(`SQL parameter ${index + 1} ${why}`)

/**
 * Rows as features see them, changed in place: integers as numbers up to 2^53 - 1 and as bigint beyond (never
 * rounded), blobs as Uint8Array.
 */
export function readable(rows: Record<string, unknown>[]): Row[] {
  for (const row of rows) {
    for (const name in row) {
      const value = row[name]
      if (typeof value === 'bigint') row[name] = integer(value)
      else if (value instanceof ArrayBuffer) row[name] = new Uint8Array(value)
    }
  }
  return rows as Row[]
}

const integer = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value
