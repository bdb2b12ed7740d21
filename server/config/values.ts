/** A group of settings; never a list. */
export type Values = Record<string, unknown>

export const isGroup = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Structural equality of JSON values; the order of keys does not count. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]))
  if (!isGroup(a) || !isGroup(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]))
}

/** JSON Merge Patch (RFC 7396): null removes, groups merge, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isGroup(patch)) return patch
  const result = new Map(isGroup(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key)
    else result.set(key, mergePatch(result.get(key), value))
  }
  return Object.fromEntries(result)
}

/** A copy in which each value that is not a group or a list went through `change`, with its path. */
export function mapLeaves(
  value: unknown,
  change: (leaf: unknown, path: string[]) => unknown,
  path: string[] = [],
): unknown {
  if (Array.isArray(value)) return value.map((item, i) => mapLeaves(item, change, [...path, String(i)]))
  if (!isGroup(value)) return change(value, path)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapLeaves(item, change, [...path, key])]))
}

/** Paths of all values; a list counts as one value, an empty group as none. */
export function leafPaths(value: unknown, path: string[] = []): string[][] {
  if (!isGroup(value)) return [path]
  return Object.entries(value).flatMap(([key, item]) => leafPaths(item, [...path, key]))
}

/** The value at `path`, or undefined. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let at = value
  for (const step of path) {
    if (Array.isArray(at)) at = at[Number(step)]
    else if (isGroup(at) && Object.hasOwn(at, step)) at = at[step]
    else return undefined
  }
  return at
}

/** A copy with `value` at `path`; groups on the way are made. */
export function withValue(target: unknown, path: readonly string[], value: unknown): Values {
  const [first, ...rest] = path
  const group = isGroup(target) ? target : {}
  if (first === undefined) return group
  return { ...group, [first]: rest.length === 0 ? value : withValue(group[first], rest, value) }
}

/** Freezes a value and everything in it. */
export function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    Object.values(value).forEach(freeze)
  }
  return value
}
