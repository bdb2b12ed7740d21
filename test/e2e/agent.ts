import type { APIRequestContext, PlaywrightWorkerArgs } from '@playwright/test'
import assert from 'node:assert/strict'
import type { Approval } from '../../shared/approvals.ts'
import { type Behaviour, startMockUpstream } from '../support/mock-upstream.ts'
import { TOKEN } from './sign-in.ts'

export type Agent = Awaited<ReturnType<typeof startAgent>>

/** A model that does what it is scripted to, connected to the server under test, and the owner's own requests. */
export async function startAgent(playwright: PlaywrightWorkerArgs['playwright'], baseURL: string | undefined) {
  const upstream = await startMockUpstream()
  const request = await playwright.request.newContext({
    baseURL,
    extraHTTPHeaders: { authorization: `Bearer ${TOKEN}` },
  })
  const { provider } = await json<{ provider: { id: number } }>(request, 'post', '/api/providers', {
    name: `mock-${Date.now()}`,
    base_url: `${upstream.url}/v1`,
    api_key: 'good',
  })
  const { model } = await json<{ model: { runtime_id: string } }>(request, 'post', '/api/models', {
    provider_id: provider.id,
    model: 'echo',
  })

  return {
    /** What the model does at its next calls. */
    script: (...behaviours: Behaviour[]) => upstream.script(...behaviours),
    get: <T>(path: string) => json<T>(request, 'get', path),
    post: <T>(path: string, data: object) => json<T>(request, 'post', path, data),
    put: <T>(path: string, data: object) => json<T>(request, 'put', path, data),

    /** Sends a message; `wait` = until the answer is there. */
    async say(session: string, text: string, wait = false): Promise<void> {
      const response = await request.post(`/api/sessions/${session}/messages`, {
        data: { text, model: model.runtime_id },
        headers: wait ? { prefer: 'wait=20' } : {},
      })
      assert.ok(response.ok(), await response.text())
    },

    /** Makes the model want something that is asked about, and gives the question. Afterwards it only echoes. */
    async ask(session: string, name: string, args: Record<string, unknown>): Promise<Approval> {
      upstream.script({ kind: 'tool', name, arguments: args })
      await this.say(session, 'Do it')
      for (let attempt = 0; attempt < 200; attempt++) {
        const { approvals } = await this.get<{ approvals: Approval[] }>(`/api/approvals?session_id=${session}`)
        if (approvals[0]) return approvals[0]
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      throw new Error(`nothing was asked in ${session}`)
    },

    /** Takes away what a test left: the model, rules, and calls that still wait. */
    async close(): Promise<void> {
      const { approvals } = await this.get<{ approvals: Approval[] }>('/api/approvals')
      for (const { id } of approvals) await request.post(`/api/approvals/${id}`, { data: { decision: 'deny' } })
      await this.put('/api/tool-rules', { rules: [] })
      await request.delete(`/api/providers/${provider.id}`)
      await request.dispose()
      await upstream.close()
    },
  }
}

async function json<T>(
  request: APIRequestContext,
  method: 'get' | 'post' | 'put',
  path: string,
  data?: object,
): Promise<T> {
  const response = await request[method](path, data ? { data } : {})
  assert.ok(response.ok(), `${path}: ${await response.text()}`)
  return await response.json() as T
}
