import type { Approval, ApprovalDecision } from '../../shared/approvals.ts'
import { cleanLine } from './clean.ts'
import type { Command, Context } from './command.ts'
import { usage } from './exit-codes.ts'
import { shorten, when } from './output.ts'

/** `gatehouse approvals …`. */
export const approvalCommands: Command[] = [
  {
    name: 'approvals list',
    alias: 'approvals',
    summary: 'Calls that wait for a yes',
    options: { all: { short: 'a', summary: 'Those that were answered too' } },
    run: async ({ client, flags, out }) => {
      const state = flags.all ? 'all' : 'pending'
      const answer = await client.get<{ approvals: Approval[] }>(`/api/approvals?state=${state}`)
      out.show(answer, () => {
        const rows = answer.approvals.map((approval) => [
          approval.id,
          approval.state,
          approval.tool,
          shorten(JSON.stringify(approval.arguments), 60),
          approval.session_id,
          when(approval.expires_at),
        ])
        out.table(['ID', 'STATE', 'TOOL', 'ARGUMENTS', 'SESSION', 'UNTIL'], rows, 'Nothing waits for an answer.')
      })
    },
  },
  {
    name: 'approvals allow',
    args: 'ID',
    summary: 'Let a call run',
    options: {
      session: { summary: 'And all of its kind in this session' },
      always: { summary: 'And all of its kind from now on' },
    },
    run: (context) => {
      const { session, always } = context.flags
      if (session && always) throw usage('Take one of --session and --always')
      return decide(context, session ? 'allow_session' : always ? 'allow_always' : 'allow_once')
    },
  },
  { name: 'approvals deny', args: 'ID', summary: 'Refuse a call', run: (context) => decide(context, 'deny') },
]

async function decide({ args: [id = ''], client, out }: Context, decision: ApprovalDecision): Promise<void> {
  const approval = await client.send<Approval>('POST', `/api/approvals/${encodeURIComponent(id)}`, { decision })
  out.show(approval, () => out.print(`${cleanLine(approval.tool)}: ${approval.state.replace('_', ' ')}`))
}
