import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { paths } from './paths.ts'

const ROUTES = join(import.meta.dirname, '..', 'routes')

/** The routes as patterns: `[[id]]` may be missing, `[id]` may not. */
const patterns = globSync('**/+page.{svelte,ts}', { cwd: ROUTES }).map((file) => {
  const route = file.replaceAll('\\', '/').replace(/\/?\+page\.\w+$/, '')
  const pattern = route.replace(/\/\[\[[^/]+\]\]/g, '(/[^/]+)?').replace(/\/\[[^/]+\]/g, '/[^/]+')
  return new RegExp(`^/${pattern}$`)
})

const leadsToAPage = (path: string): boolean => patterns.some((pattern) => pattern.test(path.split('?')[0]!))

describe('paths', () => {
  it('every link leads to a page', () => {
    const links = [
      paths.home(),
      paths.chat(),
      paths.session('tg:1'),
      paths.approvals(),
      paths.approvalHistory({ state: 'deny' }),
      paths.rules({ rule: 'r1' }),
      paths.audit({ action: 'approval.' }),
      paths.tools({ tool: 'notes.create' }),
      paths.logs({ level: 'warn' }),
      paths.system(),
      paths.channels({ tab: 'people' }),
      paths.channel('my bot', { tab: 'settings' }),
      paths.plugins({ tab: 'bundled' }),
      paths.plugin('a b', { tab: 'log', level: 'warn' }),
      paths.mcp({ tab: 'browse' }),
      paths.mcpServer('a b', { tab: 'log' }),
      paths.settings(),
      paths.keys(),
      paths.login('/logs?q=a b'),
    ]
    assert.deepEqual(links.filter((link) => !leadsToAPage(link)), [])
  })

  it('ids and queries are escaped', () => {
    assert.equal(paths.session('a b:c'), '/chat/a%20b%3Ac')
    assert.equal(paths.login('/logs?q=a&b'), '/login?next=%2Flogs%3Fq%3Da%26b')
    assert.equal(paths.logs({ event: '', q: 'x' }), '/logs?q=x')
  })
})
