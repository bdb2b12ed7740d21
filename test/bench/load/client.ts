import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 4096 })

export type Call = { method?: string; token?: string; json?: unknown; headers?: Record<string, string> }

/** Sends a request; throws when it is not answered with a 2xx. */
export async function call(url: string, init: Call = {}): Promise<string> {
  const response = await open(url, init)
  let text = ''
  response.setEncoding('utf8')
  for await (const chunk of response) text += chunk
  if ((response.statusCode ?? 500) >= 300) throw new Error(`${url} answered ${response.statusCode}: ${text}`)
  return text
}

export type Reader = { close(): void; ended: Promise<void> }

/** Reads a stream of server-sent events and hands over the data of each frame. */
export async function follow(url: string, init: Call, onData: (data: string) => void): Promise<Reader> {
  const response = await open(url, init)
  if (response.statusCode !== 200) throw new Error(`${url} answered ${response.statusCode}`)
  let rest = ''
  response.setEncoding('utf8')
  response.on('data', (chunk: string) => {
    rest += chunk
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const frame = rest.slice(0, end)
      rest = rest.slice(end + 2)
      const data = frame.startsWith('data: ') ? 0 : frame.indexOf('\ndata: ') + 1
      if (data > 0 || frame.startsWith('data: ')) onData(frame.slice(data + 6))
    }
  })
  const ended = new Promise<void>((resolve) => response.on('close', () => resolve()))
  response.on('error', () => {})
  return { close: () => void response.destroy(), ended }
}

function open(url: string, { method, token, json, headers }: Call): Promise<IncomingMessage> {
  const body = json === undefined ? undefined : JSON.stringify(json)
  return new Promise((resolve, reject) => {
    const outgoing: ClientRequest = request(url, {
      agent,
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        ...headers,
      },
    }, resolve)
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
