/** `128k`, `1M`, of tokens. */
export function contextWindow(tokens: number): string {
  const [size, unit] = tokens >= 1_000_000 ? [tokens / 1_000_000, 'M'] : [tokens / 1000, 'k']
  return tokens < 1000 ? String(tokens) : `${Number(size.toFixed(unit === 'M' ? 1 : 0))}${unit}`
}

/** `$2.50`, `$0.075`, of US dollars; cents are too coarse for small models. */
export function dollars(amount: number): string {
  if (amount === 0) return 'free'
  const digits = amount < 0.1 ? 3 : 2
  return `$${amount.toFixed(digits)}`
}
