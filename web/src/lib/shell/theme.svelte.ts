import { createContext } from 'svelte'
import { MediaQuery } from 'svelte/reactivity'

export type ThemeChoice = 'system' | 'light' | 'dark'

/** Read by `static/theme.js` before the first paint. */
const KEY = 'gatehouse.theme'

/** Light or dark: follows the system until somebody chooses, and remembers the choice in this browser. */
export class Theme {
  #choice = $state<ThemeChoice>(read())
  #system = new MediaQuery('(prefers-color-scheme: dark)')

  get choice(): ThemeChoice {
    return this.#choice
  }

  get dark(): boolean {
    return this.#choice === 'dark' || (this.#choice === 'system' && this.#system.current)
  }

  choose(choice: ThemeChoice): void {
    this.#choice = choice
    try {
      localStorage.setItem(KEY, choice)
    } catch {
      // Storage may be blocked; the choice then lasts until the page is closed.
    }
  }

  toggle(): void {
    this.choose(this.dark ? 'light' : 'dark')
  }
}

function read(): ThemeChoice {
  try {
    const stored = localStorage.getItem(KEY)
    return stored === 'light' || stored === 'dark' ? stored : 'system'
  } catch {
    return 'system'
  }
}

/** The page's theme, for everything below the layout. */
export const [theme, provideTheme] = createContext<Theme>()
