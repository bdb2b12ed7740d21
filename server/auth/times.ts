/** Epoch milliseconds as the wire has them: `name` in seconds and `name_iso`. */
export function stamp<N extends string>(name: N, at: number): Record<N, number> & Record<`${N}_iso`, string>
export function stamp<N extends string>(
  name: N,
  at: number | null,
): Record<N, number | null> & Record<`${N}_iso`, string | null>
export function stamp(name: string, at: number | null): Record<string, number | string | null> {
  return { [name]: at === null ? null : at / 1000, [`${name}_iso`]: at === null ? null : new Date(at).toISOString() }
}
