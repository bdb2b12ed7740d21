import type { Approval, ApprovalDecision } from '../../shared/approvals.ts'
import { cleanLine } from './clean.ts'
import { type Command, type Context, text } from './command.ts'
import { usage } from './exit-codes.ts'
import { shorten, when } from './output.ts'

const WHY = { reason: { value: 'TEXT', summary: 'Why; kept with the answer, and told to the model when it is a no' } }

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
          shorten(cleanLine(approval.patterns[0]?.text ?? ''), 60),
        ])
        out.table(
          ['ID', 'STATE', 'TOOL', 'ARGUMENTS', 'SESSION', 'UNTIL', 'A STANDING YES COVERS'],
          rows,
          'Nothing waits for an answer.',
        )
      })
    },
  },
  {
    name: 'approvals allow',
    args: 'ID',
    summary: 'Let a call run',
    options: {
      session: { summary: 'And what a standing yes covers, in this session' },
      always: { summary: 'And what a standing yes covers, from now on' },
      exact: { summary: 'With --session or --always: only the same call again' },
      ...WHY,
    },
    run: (context) => {
      const { session, always, exact } = context.flags
      if (session && always) throw usage('Take one of --session and --always')
      if (exact && !session && !always) throw usage('--exact goes with --session or --always')
      return decide(context, session ? 'allow_session' : always ? 'allow_always' : 'allow_once')
    },
  },
  {
    name: 'approvals deny',
    args: 'ID',
    summary: 'Refuse a call',
    options: WHY,
    run: (context) => decide(context, 'deny'),
  },
]

async function decide(context: Context, decision: ApprovalDecision): Promise<void> {
  const { args: [id = ''], client, out, flags } = context
  const reason = text(context, 'reason')
  const body = { decision, ...(reason ? { reason } : {}), ...(flags.exact ? { pattern: 'exact' } : {}) }
  const approval = await client.send<Approval>('POST', `/api/approvals/${encodeURIComponent(id)}`, body)
  out.show(approval, () => out.print(`${cleanLine(approval.tool)}: ${approval.state.replace('_', ' ')}`))
}
