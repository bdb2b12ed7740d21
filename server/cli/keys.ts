import type { ApiKey } from '../../shared/auth.ts'
import { cleanLine } from './clean.ts'
import { type Command, text } from './command.ts'
import { when } from './output.ts'

/** `gatehouse keys …`. */
export const keyCommands: Command[] = [
  {
    name: 'keys list',
    alias: 'keys',
    summary: 'API keys, without their secrets',
    run: async ({ client, out }) => {
      const answer = await client.get<{ keys: ApiKey[] }>('/api/keys')
      out.show(answer, () => {
        const rows = answer.keys.map((key) => [
          key.id,
          key.name,
          `${key.prefix}…`,
          key.scopes.join(','),
          when(key.created_at),
          when(key.expires_at) || 'never',
          when(key.last_used_at) || 'never',
        ])
        out.table(['ID', 'NAME', 'KEY', 'SCOPES', 'CREATED', 'EXPIRES', 'USED'], rows, 'No API keys.')
      })
    },
  },
  {
    name: 'keys create',
    args: 'NAME',
    summary: 'Make an API key; its secret is printed once',
    options: {
      scopes: { value: 'LIST', summary: 'What it may do: read, chat, admin, separated by commas (read,chat)' },
      expires: { value: 'TIME', summary: 'When it ends: 30d, 12h, or a date such as 2030-01-31 (never)' },
    },
    run: async (context) => {
      const { args: [name], client, out } = context
      const scopes = (text(context, 'scopes') ?? 'read,chat').split(',').map((scope) => scope.trim()).filter(Boolean)
      const expires = text(context, 'expires')
      const expires_at = expires === undefined ? null : endOf(expires)
      const answer = await client.send<{ key: ApiKey; secret: string }>('POST', '/api/keys', {
        name,
        scopes,
        expires_at,
      })
      out.show(answer, () => {
        // The secret alone on stdout, so that it can be piped into a file or a variable.
        out.note(`The key ${cleanLine(answer.key.id)} for "${cleanLine(answer.key.name)}". It is shown only now:`)
        out.print(answer.secret)
      })
    },
  },
  {
    name: 'keys revoke',
    args: 'ID',
    summary: 'End an API key, and what it opened, at once',
    run: async ({ args: [id = ''], client, out }) => {
      const answer = await client.send('DELETE', `/api/keys/${encodeURIComponent(id)}`)
      out.show(answer, () => out.print('Revoked'))
    },
  },
]

const UNITS = { m: 60, h: 3600, d: 86_400, w: 604_800 } as const

/** `30d` from now as epoch seconds; anything else is for the server to understand. */
function endOf(given: string): number | string {
  const [, count, unit] = /^(\d{1,6})([mhdw])$/.exec(given) ?? []
  return count ? Math.round(Date.now() / 1000) + Number(count) * UNITS[unit as keyof typeof UNITS] : given
}
