/** Epoch milliseconds with their fraction, the same in every process of one machine. */
export const now = (): number => performance.timeOrigin + performance.now()
