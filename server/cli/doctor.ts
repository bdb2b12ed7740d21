import type { Command } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { checkConfiguration, checkDatabase, checkHome, checkInterface, checkRuntime } from './doctor-local.ts'
import { checkModels, checkServer } from './doctor-server.ts'

export type Check = { status: 'ok' | 'warn' | 'error'; message: string }

const MARKS = { ok: '✓', warn: '!', error: '✗' } as const

export const doctor: Command = {
  name: 'doctor',
  summary: 'Look for what is wrong, with or without a running server; exit code 1 when something is',
  options: { deep: { summary: 'Read the whole database too; slow when it is large' } },
  run: async (context) => {
    const { flags, out } = context
    const sections: { name: string; checks: Check[] }[] = []
    for (
      const [name, check] of [
        ['Runtime', checkRuntime],
        ['Home', checkHome],
        ['Configuration', checkConfiguration],
        ['Server', checkServer],
        ['Database', (of: typeof context) => checkDatabase(of, flags.deep === true)],
        ['Control UI', checkInterface],
        ['Models', checkModels],
      ] as const
    ) sections.push({ name, checks: await check(context) })

    const all = sections.flatMap(({ checks }) => checks)
    const count = (status: Check['status']): number => all.filter((check) => check.status === status).length
    const summary = { ok: count('ok'), warn: count('warn'), error: count('error') }
    const status = summary.error > 0 ? 'error' : summary.warn > 0 ? 'warn' : 'ok'
    out.show({ status, sections, summary }, () => {
      const { bold, green, red, yellow } = out.style
      const paint = { ok: green, warn: yellow, error: red }
      for (const { name, checks } of sections) {
        out.print(bold(name))
        for (const check of checks) out.print(`  ${paint[check.status](MARKS[check.status])} ${check.message}`)
      }
      out.print(`\n${summary.ok} in order, ${summary.warn} to look at, ${summary.error} wrong`)
    })
    return status === 'error' ? EXIT.failed : EXIT.ok
  },
}
