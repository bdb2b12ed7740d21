const CARD = '[data-approval]'

/** Whether keys that answer are meant for this card: the one in use, else the first of the page. */
export function answersByKey(card: HTMLElement | undefined): boolean {
  const used = document.activeElement?.closest(CARD)
  return card !== undefined && (used ?? document.querySelector(CARD)) === card
}

/** Moves the focus to the next card, or with -1 to the one before. */
export function focusCard(step: 1 | -1): void {
  const cards = [...document.querySelectorAll<HTMLElement>(CARD)]
  const at = cards.findIndex((card) => card.contains(document.activeElement))
  const next = at < 0 ? (step > 0 ? cards[0] : cards.at(-1)) : cards[at + step]
  next?.querySelector<HTMLElement>('button, textarea, input')?.focus()
  next?.scrollIntoView({ block: 'nearest' })
}
