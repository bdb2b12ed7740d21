import { createContext, type Snippet } from 'svelte'

/** Where the sidebar's width is remembered. */
const KEY = 'gatehouse.sidebar'

/** What the parts of the shell share: open overlays, the sidebar, and the bar that a page fills on a phone. */
export class Shell {
  palette = $state(false)
  shortcuts = $state(false)
  /** The navigation as a drawer, on a phone. */
  drawer = $state(false)
  #collapsed = $state(localStorage.getItem(KEY) === 'collapsed')
  #bars = $state.raw<Snippet[]>([])

  get collapsed(): boolean {
    return this.#collapsed
  }

  toggleSidebar(): void {
    this.#collapsed = !this.#collapsed
    localStorage.setItem(KEY, this.#collapsed ? 'collapsed' : 'wide')
  }

  /** What the page shows in the phone's top bar. */
  get bar(): Snippet | undefined {
    return this.#bars.at(-1)
  }

  /** Fills the phone's top bar; returns the function that empties it. */
  setBar(bar: Snippet): () => void {
    this.#bars = [...this.#bars, bar]
    return () => {
      this.#bars = this.#bars.filter((other) => other !== bar)
    }
  }
}

/** The shell around the page. */
export const [shell, provideShell] = createContext<Shell>()
