import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** Something that a person wrote. */
export type Update = { number: number; chat_id: string; text: string }
/** Something that was sent into a chat; a request id that was there before is the same message. */
export type Posted = { request_id: string; chat_id: string; content: string; times: number }

/** A chat platform over HTTP: hands updates out until they are confirmed, in order, and takes messages. */
export async function startRelayPlatform() {
  const updates: Update[] = []
  const posted = new Map<string, Posted>()
  let confirmed = 0
  /** The plugin that asked last. */
  let pid = 0

  const answers: Record<string, (body: Record<string, string & number>) => unknown> = {
    '/updates': (body) => {
      pid = body.pid!
      return { updates: updates.filter(({ number }) => number > confirmed).slice(0, 20) }
    },
    '/confirm': (body) => ({ confirmed: confirmed = Math.max(confirmed, body.number!) }),
    '/send': ({ request_id, chat_id, content }) => {
      const known = posted.get(request_id!)
      if (known) known.times++
      else posted.set(request_id!, { request_id: request_id!, chat_id: chat_id!, content: content!, times: 1 })
      return { message_id: `p${request_id}` }
    },
  }
  const server = createServer((request, response) => {
    text(request).then((body) => {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(answers[request.url!]!(JSON.parse(body))))
    }).catch((error) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    posted: (): Posted[] => [...posted.values()],
    confirmed: (): number => confirmed,
    pid: (): number => pid,
    write: (chat_id: string, said: string): void =>
      void updates.push({ number: updates.length + 1, chat_id, text: said }),
    async close(): Promise<void> {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
