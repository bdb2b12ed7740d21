import { readFile, rm, stat, truncate } from 'node:fs/promises'
import { relative, sep } from 'node:path'
import type { Permissions } from '../../shared/plugin-manifest.ts'

/** What Deno notes of one access. */
type Access = { permission: string; value: string }

const MAX_READ = 4 * 1024 * 1024
const VERBS: Record<string, string> = {
  net: 'reach',
  read: 'read',
  write: 'write',
  run: 'start',
  ffi: 'load',
  sys: 'ask the system for',
}

/**
 * Follows the file in which Deno notes every access and tells those that its permissions refuse, whatever the plugin
 * makes of the refusal. The file is emptied as it is read.
 */
export function createDenials({ file, permissions, folders, onDenied }: {
  file: string
  permissions: Permissions
  /** Folders that it may read, and those of them that it may write. */
  folders: { read: string[]; write: string[] }
  onDenied: (message: string) => void
}) {
  /** Deno writes on where it was, so that what is before it in an emptied file is a hole. */
  let offset = 0
  const told = new Set<string>()

  const isAllowed = ({ permission, value }: Access): boolean => {
    switch (permission) {
      case 'net':
        // Also noted as a whole address, before its host is.
        return value.includes('://') || permissions.net.some((host) => reaches(host, value))
      case 'read':
        return folders.read.some((folder) => isIn(folder, value))
      case 'write':
        return folders.write.some((folder) => isIn(folder, value))
      case 'run':
        return permissions.run.some((program) => program === value || value.endsWith(`${sep}${program}`))
      case 'sys':
        return permissions.sys.includes(value)
      case 'env':
        return true // One that it may not see is not set.
      default:
        return !(permission in VERBS)
    }
  }

  function look(line: string): void {
    let access: Access
    try {
      access = JSON.parse(line) as Access
    } catch {
      return // Cut by the emptying.
    }
    if (typeof access.value !== 'string' || isAllowed(access)) return
    const message = `tried to ${VERBS[access.permission]} ${access.value}: refused`
    if (told.has(message)) return
    if (told.size > 1000) told.clear()
    told.add(message)
    onDenied(message)
  }

  return {
    /** Tells what was noted since the last time. */
    async read(): Promise<void> {
      const info = await stat(file).catch(() => undefined)
      if (!info || info.size <= offset) return
      const bytes = info.size < MAX_READ + offset ? (await readFile(file)).subarray(offset) : undefined
      offset = info.size
      await truncate(file)
      if (!bytes) return
      new TextDecoder().decode(bytes).replaceAll('\0', '').split('\n').filter(Boolean).forEach(look)
    },
    remove: (): Promise<void> => rm(file, { force: true }),
  }
}

const isIn = (folder: string, path: string): boolean => {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !way.startsWith(sep)
}

/** Whether a permission such as `example.org`, `example.org:443` or `*.example.org` covers `host:port`. */
export function reaches(permission: string, target: string): boolean {
  if (permission === '*') return true
  const split = (text: string) => /^(.*?)(?::(\d+))?$/.exec(text)!.slice(1) as [string, string | undefined]
  const [host, port] = split(permission.toLowerCase())
  const [wanted, wantedPort] = split(target.toLowerCase())
  if (port !== undefined && port !== wantedPort) return false
  return host.startsWith('*.') ? wanted.endsWith(host.slice(1)) : host === wanted
}
