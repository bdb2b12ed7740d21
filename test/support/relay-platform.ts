import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** Something that a person wrote; one that is delivered twice has one id and two numbers. */
export type Update = { number: number; id: string; chat_id: string; text: string }
/** Something that was sent into a chat; a request id that was there before is the same message. */
export type Posted = { request_id: string; chat_id: string; content: string; times: number }

/** Before the plugin gets updates or an answer, and around what a request of it changes. */
export type RelayStep = 'handing' | 'confirming' | 'confirmed' | 'sending' | 'sent'

/**
 * A chat platform over HTTP: hands updates out until they are confirmed, in order, and takes messages. When `cut` says
 * so, the connection breaks at that step.
 */
export async function startRelayPlatform(cut: (step: RelayStep) => boolean = () => false) {
  const updates: Update[] = []
  const posted = new Map<string, Posted>()
  let confirmed = 0
  /** The plugin that asked last. */
  let pid = 0

  const pass = (step: RelayStep): void => {
    if (cut(step)) throw new Error(`cut at ${step}`)
  }
  const answers: Record<string, (body: Record<string, string & number>) => unknown> = {
    '/updates': (body) => {
      pid = body.pid!
      // Numbers begin at 1 and have no gaps.
      const next = updates.slice(confirmed, confirmed + 20)
      if (next.length > 0) pass('handing')
      return { updates: next }
    },
    '/confirm': (body) => {
      pass('confirming')
      confirmed = Math.max(confirmed, body.number!)
      pass('confirmed')
      return { confirmed }
    },
    '/send': ({ request_id, chat_id, content }) => {
      pass('sending')
      const known = posted.get(request_id!)
      if (known) known.times++
      else posted.set(request_id!, { request_id: request_id!, chat_id: chat_id!, content: content!, times: 1 })
      pass('sent')
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
    written: (): number => updates.length,
    /** Somebody writes; with an id that was there before, it is the same message once more. */
    write: (chat_id: string, said: string, id = `u${updates.length + 1}`): void =>
      void updates.push({ number: updates.length + 1, id, chat_id, text: said }),
    async close(): Promise<void> {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
