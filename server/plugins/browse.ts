import * as v from 'valibot'
import type { PackagedPlugin } from '../../shared/plugins.ts'
import { AppError } from '../errors.ts'
import type { Npm } from './npm.ts'
import type { StoredPlugin } from './store.ts'

/** Packages that are plugins say so with this keyword. */
const KEYWORD = 'gatehouse-plugin'
const MOST = 50
const SEARCH_MS = 30_000

/** What npm's search prints of a package; everything but its name and version may be missing. */
const Package = v.object({
  name: v.string(),
  version: v.string(),
  description: v.nullish(v.string(), ''),
  date: v.nullish(v.string()),
  publisher: v.nullish(v.object({ username: v.nullish(v.string()) })),
  links: v.nullish(v.object({ homepage: v.nullish(v.string()), repository: v.nullish(v.string()) })),
})

/** Plugins in the registry that npm is set up with. Anybody may publish there: what it says is text, and nothing runs. */
export async function browse(
  words: string,
  { npm, cwd, stored }: { npm: Npm; cwd: string; stored: readonly StoredPlugin[] },
): Promise<PackagedPlugin[]> {
  const args = ['search', '--json', `--searchlimit=${MOST}`, '--', `keywords:${KEYWORD}`]
  const out = await npm([...args, ...words.split(/\s+/).filter(Boolean)], { cwd, timeoutMs: SEARCH_MS })
  const parsed = v.safeParse(v.array(v.unknown()), jsonOf(out))
  if (!parsed.success) throw new AppError('bad_gateway', 'npm answered its search with something that is no list')
  return parsed.output.flatMap((entry) => {
    const found = v.safeParse(Package, entry)
    if (!found.success) return []
    const { name, version, description, date, publisher, links } = found.output
    const here = stored.find(({ installed }) => installed?.kind === 'npm' && installed.from.startsWith(`${name}@`))
    return [{
      name,
      version,
      description: description.slice(0, 500),
      publisher: publisher?.username ?? null,
      published_at: date && !Number.isNaN(Date.parse(date)) ? Date.parse(date) / 1000 : null,
      homepage: links?.homepage ?? links?.repository ?? null,
      installed: here ? { plugin: here.name, version: here.installed!.from.slice(name.length + 1) } : null,
    }]
  })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
