import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = join(import.meta.dirname, '..', '..', '/')
const FOLDER = join(ROOT, 'node_modules', '.gatehouse')

/** What a server starts with. */
type Entries = {
  serve: typeof import('./serve.ts').serve
  currentRuntime: typeof import('../runtime/current.ts').currentRuntime
}

/** From the bundle that `bundle.mjs` made, or from the sources where there is none or one of them changed since. */
export async function loadServer(): Promise<Entries> {
  const [{ serve }, { currentRuntime }] = isCurrent()
    ? await Promise.all([bundled('serve'), bundled('current')]) as [Entries, Entries]
    : await Promise.all([import('./serve.ts'), import('../runtime/current.ts')])
  return { serve, currentRuntime }
}

const bundled = (name: string): Promise<unknown> => import(pathToFileURL(join(FOLDER, `${name}.mjs`)).href)

/** Looking at 200 files takes a few milliseconds, reading them a hundred. */
function isCurrent(): boolean {
  try {
    const { root, files } = JSON.parse(readFileSync(join(FOLDER, 'sources.json'), 'utf8')) as {
      root: string
      files: [path: string, size: number, mtimeMs: number][]
    }
    return root === ROOT && files.every(([path, size, mtimeMs]) => {
      const now = statSync(join(ROOT, path))
      // Runtimes differ in the fraction.
      return now.size === size && Math.floor(now.mtimeMs) === mtimeMs
    })
  } catch {
    return false
  }
}
