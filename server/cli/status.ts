import { cleanLine } from './clean.ts'
import type { Client } from './client.ts'
import type { Command } from './command.ts'
import { EXIT } from './exit-codes.ts'

type Health = { status: string; version: string; agent?: string; connected_clients?: number }

export const status: Command = {
  name: 'status',
  summary: 'Whether the server runs and can work; exit code 3 when none answers, 1 when it is not ready',
  details: 'Works without a credential, so a container can use it as its health check.',
  run: async ({ client, home, out }) => {
    // The page of health knows more for those who may read.
    const health = await client.get<Health>('/api/health')
    const ready = await isReady(client)
    const { url, local } = await client.target()
    const value = { ...health, ready, url, ...(local ? { home } : {}) }
    out.show(value, () => {
      out.print(`${ready ? out.style.green('ready') : out.style.red('not ready')}  ${cleanLine(url)}`)
      out.print(`version  ${cleanLine(health.version)}`)
      if (health.agent !== undefined) out.print(`agent    ${cleanLine(health.agent)}`)
      if (local) out.print(`home     ${home}`)
    })
    return ready ? EXIT.ok : EXIT.failed
  },
}

const isReady = (client: Client): Promise<boolean> =>
  client.request('GET', '/readyz').then((response) => response.body?.cancel()).then(() => true, () => false)
