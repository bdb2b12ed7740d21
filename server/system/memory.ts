import { readFile } from 'node:fs/promises'
import { freemem, platform, totalmem } from 'node:os'
import type { SystemSnapshot } from '../../shared/system.ts'
import { round } from './cpu.ts'

/** Memory and swap of the machine; swap is known on Linux only. */
export async function readMemory(): Promise<Pick<SystemSnapshot, 'memory' | 'swap'>> {
  const text = platform() === 'linux' ? await readFile('/proc/meminfo', 'utf8').catch(() => '') : ''
  const bytes = (name: string): number | undefined => {
    const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
  }
  const total = bytes('MemTotal') ?? totalmem()
  const free = bytes('MemFree') ?? freemem()
  const available = bytes('MemAvailable') ?? free
  const swap = bytes('SwapTotal') ?? 0
  const swapFree = bytes('SwapFree') ?? 0
  return {
    memory: {
      total_bytes: total,
      used_bytes: total - available,
      available_bytes: available,
      free_bytes: free,
      cached_bytes: bytes('Cached') ?? null,
      percent: percent(total - available, total),
    },
    swap: {
      total_bytes: swap,
      used_bytes: swap - swapFree,
      free_bytes: swapFree,
      percent: percent(swap - swapFree, swap),
    },
  }
}

/** 0 of nothing is 0. */
export const percent = (part: number, whole: number): number => whole > 0 ? round((part / whole) * 100) : 0
