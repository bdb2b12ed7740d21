import type { RuleTest, TestRulesInput, ToolCall, ToolInfo, ToolRuleInput, ToolRules, ToolRun } from '$shared/tools.ts'
import { api, type Fetch, type Tagged } from './client.ts'

/** A rule as a form has it. */
export type RuleDraft = Pick<ToolRuleInput, 'id' | 'decision' | 'tool' | 'when' | 'note'>

/** A tool may work for two minutes. */
const PATIENT = { timeout: 130_000 }

/** The list of tools, trying them out, and the rules of the gate. */
export const tools = (fetch?: Fetch) => {
  const client = api(fetch)
  const at = (name: string, rest: string) => `/api/tools/${encodeURIComponent(name)}${rest}`
  return {
    list: async () => (await client.get<{ tools: ToolInfo[] }>('/api/tools')).tools,
    /** The last ones of the agent, newest first. */
    calls: async (name: string, limit = 20) =>
      (await client.get<{ calls: ToolCall[] }>(at(name, '/calls'), { query: { limit } })).calls,
    /** Refused with 409 when the gate asks and `confirm` is not given. */
    run: (name: string, args: Record<string, unknown>, confirm: boolean, signal?: AbortSignal) =>
      client.post<ToolRun>(at(name, '/run'), { arguments: args, confirm }, { ...PATIENT, signal }),

    rules: () => client.getTagged<ToolRules>('/api/tool-rules'),
    /** Refused with 412 when the rules are no longer those that `ifMatch` names. */
    saveRules: async (rules: RuleDraft[], ifMatch: string | null): Promise<Tagged<ToolRules>> => {
      const response = await client.raw('PUT', '/api/tool-rules', { rules }, { ifMatch })
      return { data: await response.json() as ToolRules, etag: response.headers.get('etag') }
    },
    /** Revokes a standing answer. */
    removeRule: (id: string) => client.delete(`/api/tool-rules/${encodeURIComponent(id)}`),
    /** What rules would have decided about past calls; saves nothing. */
    testRules: (input: Pick<TestRulesInput, 'since'> & { rules: RuleDraft[] }, signal?: AbortSignal) =>
      client.post<RuleTest>('/api/tool-rules/test', input, { signal }),
  }
}
