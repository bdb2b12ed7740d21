import { appendFile, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../system/log.ts'

/** In the environment of every program that we start, and of all that it starts. */
export const MARK = 'GATEHOUSE_CHILD'

/**
 * Programs that outlived us: a server whose input closes mostly ends by itself, but after `kill -9` nobody ends one that
 * does not. Their marks are written down when they start and taken up at the next start. Where there is no `/proc`,
 * there is nothing to look at.
 */
export function createOrphans({ home, log }: { home: string; log: Log }) {
  const file = join(home, 'mcp-children')

  return {
    note: (mark: string): Promise<void> => appendFile(file, `${mark}\n`, { mode: 0o600 }),
    /** Everything that was started is gone. */
    clear: (): Promise<void> => rm(file, { force: true }),

    /** Ends what an earlier process left behind. */
    async end(): Promise<void> {
      const marks = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter((mark) =>
        /^[0-9A-Z]{26}$/.test(mark)
      )
      if (marks.length === 0) return
      const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
      for (const pid of pids) {
        const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
        const mark = environment.split('\0').find((entry) => entry.startsWith(`${MARK}=`))?.slice(MARK.length + 1)
        if (!mark || !marks.includes(mark)) continue
        log.warn('mcp.orphan', 'A program of an MCP server that outlived us was ended', { pid: Number(pid) })
        try {
          process.kill(Number(pid), 'SIGKILL')
        } catch { /* it ended meanwhile */ }
      }
      await rm(file, { force: true })
    },
  }
}
