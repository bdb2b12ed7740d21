import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What runs: the version of the package and, where the checkout tells, its commit. */
export function readBuild(
  root = join(import.meta.dirname, '..', '..'),
): { version: string; commit: string; build_date: string } {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  return { version, commit: commitOf(root), build_date: '' }
}

function commitOf(root: string): string {
  try {
    const head = readFileSync(join(root, '.git', 'HEAD'), 'utf8').trim()
    const name = head.startsWith('ref: ') ? readFileSync(join(root, '.git', head.slice(5)), 'utf8').trim() : head
    return name.slice(0, 12)
  } catch {
    return ''
  }
}
