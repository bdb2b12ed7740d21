import { Hono } from 'hono'
import { ApprovalQuery, DecideInput } from '../../shared/approvals.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { Approvals } from './service.ts'

/** Calls that wait for a yes (contract.md). */
export const approvalRoutes = (approvals: Approvals) =>
  new Hono<AppEnv>()
    .get(
      '/api/approvals',
      operation({
        id: 'listApprovals',
        summary: 'Calls that wait for an answer, and those that were answered, newest first',
        scope: 'read',
        query: ApprovalQuery,
        returns: '{approvals: Approval[], nextCursor}',
        errors: ['invalid_input'],
      }),
      async (c) => {
        const query = c.req.valid('query')
        const page = await approvals.page(c.var.caller, query)
        if (page.nextCursor !== null) {
          const { limit } = query
          const next = new URLSearchParams({ ...c.req.query(), limit: String(limit), cursor: page.nextCursor })
          c.header('link', `</api/approvals?${next}>; rel="next"`)
        }
        return c.json(page)
      },
    )
    .get(
      '/api/approvals/:id',
      operation({
        id: 'getApproval',
        summary: 'One such call, and how it was answered',
        scope: 'read',
        returns: 'Approval',
        errors: ['not_found'],
      }),
      async (c) => c.json(await approvals.get(c.var.caller, c.req.param('id'))),
    )
    .post(
      '/api/approvals/:id',
      operation({
        id: 'decideApproval',
        summary: 'Answer a call that waits; the first answer wins',
        description: 'A standing yes covers what the first of the approval’s `patterns` says, or the one that is ' +
          'named. It can be revoked under /api/tool-rules. A `reason` is kept; the model hears that of a no.',
        scope: 'chat',
        body: DecideInput,
        returns: 'Approval',
        errors: ['invalid_input', 'not_found', 'conflict'],
      }),
      async (c) => {
        const { decision, ...more } = c.req.valid('json')
        return c.json(await approvals.decide(c.var.caller, c.req.param('id'), decision, more))
      },
    )
