import type { BrowserPairing } from '../../shared/auth.ts'
import { cleanLine } from './clean.ts'
import type { Command } from './command.ts'
import { when } from './output.ts'

export const loginLink: Command = {
  name: 'login-link',
  summary: 'Make a link that logs one more browser in, once; for a lost one, or another device',
  options: {
    scopes: { value: 'LIST', summary: 'What the browser may do: read, chat, admin (all that this key may)' },
    qr: { summary: 'Draw the link as a QR code too' },
  },
  run: async ({ client, flags, out }) => {
    const scopes = typeof flags.scopes === 'string' ? flags.scopes.split(',').map((scope) => scope.trim()) : undefined
    const { qr: _, ...link } = await client.send<BrowserPairing>(
      'POST',
      '/api/pairings/browser',
      scopes ? { scopes } : {},
    )
    const drawing = flags.qr ? (await import('uqr')).renderUnicodeCompact(link.url) : ''
    out.show(link, () => {
      out.print(cleanLine(link.url))
      if (drawing) out.print(`\n${drawing}\n`)
      out.note(
        `Or type the code ${cleanLine(link.code)} on the login page. Good for one browser, until ${
          when(link.expires_at)
        }.`,
      )
    })
  },
}
