export type ToastTone = 'info' | 'success' | 'error'

export type ToastMessage = {
  id: number
  tone: ToastTone
  title: string
  text?: string
  action?: { label: string; run: () => void }
}

type Options = { action?: ToastMessage['action']; /** Milliseconds; 0 stays until it is closed. */ duration?: number }

class Toasts {
  #items = $state<ToastMessage[]>([])
  #next = 1

  get items(): ToastMessage[] {
    return this.#items
  }

  info(title: string, text?: string, options?: Options): number {
    return this.#add('info', title, text, options)
  }

  success(title: string, text?: string, options?: Options): number {
    return this.#add('success', title, text, options)
  }

  error(title: string, text?: string, options?: Options): number {
    return this.#add('error', title, text, { duration: 10_000, ...options })
  }

  close(id: number): void {
    this.#items = this.#items.filter((item) => item.id !== id)
  }

  #add(tone: ToastTone, title: string, text?: string, { action, duration = 5000 }: Options = {}): number {
    const same = this.#items.find((item) => item.title === title && item.text === text)
    if (same) return same.id
    const id = this.#next++
    this.#items = [...this.#items.slice(-3), { id, tone, title, text, action }]
    if (duration > 0) setTimeout(() => this.close(id), duration)
    return id
  }
}

/** Short messages about something that was just done; `Toasts.svelte` in the shell draws them. */
export const toast = new Toasts()
