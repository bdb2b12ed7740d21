import type { Pairing } from '../../shared/channels.ts'
import { cleanLine, visible } from './clean.ts'
import type { Command, Context } from './command.ts'
import { shorten, when } from './output.ts'

const LONGEST_ID = 48

/** `gatehouse pairings …`. */
export const pairingCommands: Command[] = [
  {
    name: 'pairings list',
    alias: 'pairings',
    summary: 'People on chat platforms who ask to be let in',
    options: { all: { short: 'a', summary: 'Those that were decided too' } },
    run: async ({ client, flags, out }) => {
      const answer = await client.get<{ pairings: Pairing[] }>(`/api/pairings?state=${flags.all ? 'all' : 'pending'}`)
      out.show(answer, () => {
        const rows = answer.pairings.map((pairing) => [
          pairing.code,
          pairing.channel,
          pairing.person_name,
          shorten(visible(pairing.person_id), LONGEST_ID),
          pairing.state,
          when(pairing.expires_at),
        ])
        out.table(['CODE', 'CHANNEL', 'NAME', 'ID', 'STATE', 'UNTIL'], rows, 'Nobody asks to be let in.')
      })
    },
  },
  {
    name: 'pairings approve',
    args: 'CODE',
    summary: 'Let somebody in by the code that they got',
    options: { trust: { summary: 'They may also answer what the agent asks, and let others in' } },
    run: (context) => decide(context, 'approve', { trusted: context.flags.trust === true }),
  },
  {
    name: 'pairings reject',
    args: 'CODE',
    summary: 'Refuse somebody',
    run: (context) => decide(context, 'reject', {}),
  },
]

async function decide({ args: [code = ''], client, out }: Context, what: string, body: object): Promise<void> {
  const pairing = await client.send<Pairing>('POST', `/api/pairings/${encodeURIComponent(code)}/${what}`, body)
  out.show(
    pairing,
    () => {
      const who = `${cleanLine(pairing.person_name)} (${visible(pairing.person_id)})`
      out.print(`${who} on ${cleanLine(pairing.channel)}: ${pairing.state}`)
    },
  )
}
