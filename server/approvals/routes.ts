import { Hono } from 'hono'
import * as v from 'valibot'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import { type Approvals, DecideInput } from './service.ts'

/** Calls that wait for a yes (contract.md). */
export const approvalRoutes = (approvals: Approvals) =>
  new Hono<AppEnv>()
    .get(
      '/api/approvals',
      operation({
        id: 'listApprovals',
        summary: 'Calls that wait for an answer, and those that were answered',
        scope: 'read',
        query: v.object({ state: v.optional(v.picklist(['pending', 'all'], 'must be pending or all'), 'pending') }),
        returns: '{approvals: Approval[]}',
        errors: ['invalid_input'],
      }),
      async (c) => c.json({ approvals: await approvals.list(c.var.caller, c.req.valid('query').state) }),
    )
    .post(
      '/api/approvals/:id',
      operation({
        id: 'decideApproval',
        summary: 'Answer a call that waits; the first answer wins',
        scope: 'chat',
        body: DecideInput,
        returns: 'Approval',
        errors: ['invalid_input', 'not_found', 'conflict'],
      }),
      async (c) => c.json(await approvals.decide(c.var.caller, c.req.param('id'), c.req.valid('json').decision)),
    )
