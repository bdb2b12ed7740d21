import { Hono } from 'hono'
import { TestRulesInput, ToolRulesInput } from '../../shared/tools.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { ToolRulesService } from './rule-service.ts'

const ABOUT = 'Of the rules a deny wins, then the first that matches; without one, reading is allowed and all else ' +
  'asks. A rule that cannot be evaluated never allows. Conditions are CEL over tool, effect, args, session (id, ' +
  'origin), channel and principal (kind, handle, name). Each part of a shell command is judged by itself, as ' +
  'args.command.'

/** Rules and standing answers about tools. */
export const toolRuleRoutes = (rules: ToolRulesService) =>
  new Hono<AppEnv>()
    .get(
      '/api/tool-rules',
      operation({
        id: 'listToolRules',
        summary: 'What is allowed, asked about and denied; and the standing answers',
        description: `${ABOUT} Answers an ETag of the rules, for If-Match.`,
        scope: 'read',
        returns: '{rules: ToolRule[], grants: ToolGrant[]}',
      }),
      async (c) => {
        const { value, etag } = await rules.list(c.var.caller)
        c.header('etag', etag)
        return c.json(value)
      },
    )
    .put(
      '/api/tool-rules',
      operation({
        id: 'replaceToolRules',
        summary: 'Replace the list of rules',
        description: `${ABOUT} A rule sent with its id stays the same rule. Standing answers are not touched.`,
        scope: 'admin',
        body: ToolRulesInput,
        returns: '{rules: ToolRule[], grants: ToolGrant[]}',
        errors: ['invalid_input', 'precondition_failed'],
      }),
      async (c) => {
        const { value, etag } = await rules.replace(c.var.caller, c.req.valid('json').rules, c.req.header('if-match'))
        c.header('etag', etag)
        return c.json(value)
      },
    )
    .post(
      '/api/tool-rules/test',
      operation({
        id: 'testToolRules',
        summary: 'What rules would have decided about past calls',
        description: 'A `rule` is tried in front of those in force, `rules` in their place. Nothing is saved.',
        scope: 'admin',
        body: TestRulesInput,
        returns: 'RuleTest',
        errors: ['invalid_input'],
      }),
      async (c) => c.json(await rules.test(c.var.caller, c.req.valid('json'))),
    )
    .delete(
      '/api/tool-rules/:id',
      operation({
        id: 'removeToolRule',
        summary: 'Revoke a standing answer, or remove one rule',
        scope: 'admin',
        returns: '{ok}',
        errors: ['not_found'],
      }),
      async (c) => {
        await rules.remove(c.var.caller, c.req.param('id'))
        return c.json({ ok: true })
      },
    )
