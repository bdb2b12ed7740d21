import type { Child, Runtime } from './port.ts'

/** Reads `+ PID` and `- PID`; when nobody can write any more, it ends the groups that are left. */
const SCRIPT = `trap '' TERM INT HUP
groups=' '
while read -r sign pid; do
  case $sign in
    +) groups="$groups$pid " ;;
    -) case $groups in *" $pid "*) groups="\${groups%% $pid *} \${groups#* $pid }" ;; esac ;;
  esac
done
[ "$groups" = ' ' ] && exit
sleep 1
for pid in $groups; do kill -KILL -"$pid" 2>/dev/null; done`

export type Sentinel = ReturnType<typeof createSentinel>

/**
 * Ends process groups a second after this process died, however it died: a shell that is started with the first group,
 * and whose input closes with us. Where there is no `sh`, `orphans.ts` does it at the next start.
 */
export function createSentinel(runtime: Runtime) {
  let shell: Promise<Child | undefined> | undefined
  const groups = new Set<number>()

  const start = async (): Promise<Child | undefined> => {
    try {
      const child = await runtime.spawn('/bin/sh', ['-c', SCRIPT], { env: { PATH: '/usr/bin:/bin' }, cwd: '/' })
      void drain(child.stdout)
      void drain(child.stderr)
      void child.exited.then(() => (shell = undefined))
      return child
    } catch {
      return undefined
    }
  }

  async function tell(line: string): Promise<void> {
    const child = await (shell ??= start())
    await child?.write(new TextEncoder().encode(line)).catch(() => {}) // Gone; the next start is told by the next line.
  }

  return {
    async add(pid: number): Promise<void> {
      groups.add(pid)
      await tell(shell ? `+ ${pid}\n` : [...groups].map((group) => `+ ${group}\n`).join(''))
    },
    async remove(pid: number): Promise<void> {
      if (groups.delete(pid) && shell) await tell(`- ${pid}\n`)
    },
    async stop(): Promise<void> {
      const child = await shell
      if (!child) return
      await child.closeStdin().catch(() => {})
      await child.exited
    },
  }
}

async function drain(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of stream) { /* what the shell says is of no interest */ }
}
