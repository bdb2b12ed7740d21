const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10]

/** The next round number, for the top of a scale: `60` for 50.3. At least 1. */
export function roundUp(value: number): number {
  if (value <= 1) return 1
  const power = 10 ** Math.floor(Math.log10(value))
  return power * STEPS.find((step) => step * power >= value)!
}
