import type { Exchange } from './exchange.ts'
import { refusal } from './failure.ts'

type Body = Record<string, unknown>

/**
 * Asks an upstream for a stream, and again without each option that it refuses. What it refused is remembered by model,
 * for a reasoning model refuses what its neighbour takes.
 */
export function createAsking<Option extends string>({ host, key, url, headers, refusedOption }: {
  host: string
  key: string | null
  url: string
  headers: Record<string, string>
  /** The option of `body` that an upstream's words refuse. */
  refusedOption: (words: string, body: Body) => Option | undefined
}) {
  const refused = new Map<string, Set<Option>>()
  const request = {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', accept: 'text/event-stream, application/json' },
  }

  return (model: string, bodyWithout: (options: Set<Option>) => Body) => {
    const known = refused.get(model) ?? new Set<Option>()
    refused.set(model, known)
    return async (exchange: Exchange): Promise<Response> => {
      for (;;) {
        const body = bodyWithout(known)
        const response = await exchange.send(url, { ...request, body: JSON.stringify(body) })
        if (response.ok) return response
        const text = await exchange.text(64 * 1024)
        const failure = refusal(host, key, response, text)
        const option = failure.failed.class === 'invalid' ? refusedOption(text, body) : undefined
        if (!option) throw failure
        known.add(option)
      }
    }
  }
}
