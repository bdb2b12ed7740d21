import type { AuditCheck, AuditPage } from '../../shared/auth.ts'
import { cleanLine } from './clean.ts'
import { type Command, text } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { shorten, when } from './output.ts'

/** `gatehouse audit …`. */
export const auditCommands: Command[] = [
  {
    name: 'audit list',
    alias: 'audit',
    summary: 'Who did what, newest first',
    options: { action: { value: 'ACTION', summary: 'Only this action, or all of a kind: tool., approval., key.' } },
    run: async (context) => {
      const action = text(context, 'action')
      const query = new URLSearchParams({ limit: '100', ...(action ? { action } : {}) })
      const page = await context.client.get<AuditPage>(`/api/audit?${query}`)
      context.out.show(page, () => {
        const rows = page.items.map((entry) => [
          when(entry.at),
          cleanLine(entry.actor_name || entry.actor_kind),
          entry.action,
          cleanLine(entry.target),
          shorten(JSON.stringify(entry.detail), 60),
        ])
        context.out.table(['WHEN', 'WHO', 'ACTION', 'TARGET', 'DETAIL'], rows, 'Nothing was recorded.')
      })
    },
  },
  {
    name: 'audit verify',
    summary: 'Check that the audit log is as it was written',
    details: 'Recomputes every hash; exits with 1 when a row was changed or removed. Keep the head that it prints ' +
      'somewhere else: it proves that everything up to it is unchanged.',
    run: async ({ client, out }) => {
      const check = await client.get<AuditCheck>('/api/audit/verify')
      out.show(check, () => {
        if (check.broken) {
          out.print(`Broken at row ${check.broken.id}: ${check.broken.problem}`)
          out.print(`${check.rows} rows were read; right up to ${check.head.id}.`)
        } else out.print(`${check.rows} rows are as they were written. Head: ${check.head.id} ${check.head.hash}`)
      })
      return check.ok ? EXIT.ok : EXIT.failed
    },
  },
]
