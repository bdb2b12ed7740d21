import { readFile, statfs } from 'node:fs/promises'
import { platform } from 'node:os'
import type { DiskUse } from '../../shared/system.ts'
import { percent } from './memory.ts'

const REAL = new Set([
  'ext2',
  'ext3',
  'ext4',
  'xfs',
  'btrfs',
  'zfs',
  'f2fs',
  'vfat',
  'exfat',
  'ntfs3',
  'fuseblk',
  'nfs',
  'nfs4',
  'cifs',
  'apfs',
])
/** A network share that does not answer must not hold up the rest. */
const PATIENCE_MS = 1000

type Mount = { mount: string; device: string; fs: string }

/** Use of the real file systems: each device once, and always the one that `home` lies on. */
export async function readDisks(home: string): Promise<DiskUse[]> {
  const mounts = platform() === 'linux' ? await linuxMounts() : [{ mount: home, device: '', fs: '' }]
  const used = await Promise.all(mounts.map(readUse))
  const disks = used.filter((disk) => disk !== undefined)
  if (disks.length > 0) return disks
  const own = await readUse({ mount: home, device: '', fs: '' })
  return own ? [own] : []
}

async function linuxMounts(): Promise<Mount[]> {
  const text = await readFile('/proc/mounts', 'utf8').catch(() => '')
  const mounts = new Map<string, Mount>()
  for (const line of text.split('\n')) {
    const [device = '', mount = '', fs = ''] = line.split(' ').map(unescape)
    // In a container the root is an overlay, and single files are mounted over it from the host's disk.
    const real = REAL.has(fs) || mount === '/'
    const file = /^\/(etc|run|proc|sys|dev)\//.test(mount)
    if (real && !file && !mounts.has(device)) mounts.set(device, { device, mount, fs })
  }
  return [...mounts.values()].slice(0, 50)
}

/** `/proc/mounts` writes a space as `\040`. */
const unescape = (text: string): string =>
  text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))

async function readUse(mount: Mount): Promise<DiskUse | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PATIENCE_MS)
  })
  const info = await Promise.race([statfs(mount.mount).catch(() => undefined), late])
  clearTimeout(timer)
  if (!info || info.blocks === 0) return undefined
  const total = info.blocks * info.bsize
  const used = (info.blocks - info.bfree) * info.bsize
  const free = info.bavail * info.bsize
  return { ...mount, total_bytes: total, used_bytes: used, free_bytes: free, percent: percent(used, used + free) }
}
