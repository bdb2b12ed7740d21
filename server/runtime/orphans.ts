import { appendFile, readdir, readFile, rm } from 'node:fs/promises'
import process from 'node:process'

/** In the environment of every program that we start, and of all that it starts. */
export const MARK = 'GATEHOUSE_CHILD'

export type Orphans = ReturnType<typeof createOrphans>

/**
 * Programs that outlived us: one whose input closes mostly ends by itself, but after `kill -9` nobody ends one that
 * does not. Their marks are written into `file` when they start and taken up at the next start. Where there is no
 * `/proc`, there is nothing to look at.
 */
export function createOrphans({ file, onEnded }: { file: string; onEnded: (pid: number) => void }) {
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
      await endMarked(marks, onEnded)
      await rm(file, { force: true })
    },
  }
}

/** Ends every program with one of these marks, also one that left the process group it was started in. */
async function endMarked(marks: string[], onEnded: (pid: number) => void): Promise<void> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')
    const mark = environment.split('\0').find((entry) => entry.startsWith(`${MARK}=`))?.slice(MARK.length + 1)
    if (!mark || !marks.includes(mark)) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
      onEnded(Number(pid))
    } catch { /* it ended meanwhile */ }
  }
}

/** Ends what programs with a mark left behind, many at once: one look at all processes serves all that wait for it. */
export function createSweeper(onEnded: (pid: number) => void): (mark: string) => Promise<void> {
  let waiting: string[] = []
  let next: Promise<void> | undefined
  let current: Promise<void> = Promise.resolve()

  return (mark) => {
    waiting.push(mark)
    next ??= current.then(() => {
      const marks = waiting
      waiting = []
      next = undefined
      return current = endMarked(marks, onEnded)
    })
    return next
  }
}
