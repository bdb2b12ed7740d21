import { type Context, Hono } from 'hono'
import { ValidateConfigInput } from '../../shared/config.ts'
import { invalid } from '../errors.ts'
import type { AppEnv } from '../http/env.ts'
import { matches } from '../http/etag.ts'
import { operation, readJson, readText } from '../http/operation.ts'
import { LARGEST } from './document.ts'
import { configJsonSchema } from './json-schema.ts'
import type { ConfigService, ConfigWritten } from './service.ts'
import { isGroup } from './values.ts'

/** Mounted at `/api/config`. */
export const configRoutes = (config: ConfigService): Hono<AppEnv> =>
  new Hono<AppEnv>()
    .get(
      '/',
      operation({
        id: 'getConfig',
        summary: 'The settings in gatehouse.yaml',
        description:
          'As they are written: references such as ${BOT_TOKEN} unresolved, secrets masked. Answers an ETag.',
        scope: 'read',
        returns: 'The settings by section',
      }),
      (c) => unlessKnown(c, config.etag(), () => c.json(config.file(c.var.caller) as object)),
    )
    .put(
      '/',
      operation({
        id: 'replaceConfig',
        summary: 'Replace all settings',
        description:
          'A JSON object, or YAML text with content-type application/yaml. Sections that live in the database ' +
          'are dropped from JSON. A masked secret sent back keeps the secret.',
        scope: 'admin',
        returns: '{ok, restart_required}',
        errors: ['invalid_input', 'precondition_failed', 'conflict', 'too_large', 'unsupported_media_type'],
      }),
      async (c) => written(c, await config.replace(c.var.caller, await readConfig(c), c.req.header('if-match'))),
    )
    .get(
      '/schema',
      operation({
        id: 'getConfigSchema',
        summary: 'The settings as JSON Schema',
        description: 'With titles and descriptions, to draw a form; secrets are writeOnly.',
        scope: 'read',
        returns: 'A JSON Schema',
      }),
      async (c) => c.json(await configJsonSchema()),
    )
    .get(
      '/yaml',
      operation({
        id: 'getConfigYaml',
        summary: 'The text of gatehouse.yaml',
        description: 'With its comments; secrets masked. Answers an ETag.',
        scope: 'admin',
        returns: 'The text',
        media: 'application/yaml',
      }),
      (c) =>
        unlessKnown(c, config.etag(), async () =>
          c.body(await config.yaml(c.var.caller), 200, { 'content-type': 'application/yaml; charset=utf-8' })),
    )
    .get(
      '/effective',
      operation({
        id: 'getEffectiveConfig',
        summary: 'The settings in force',
        description: 'After defaults, file, .env, environment and flags, with where each came from and what is wrong.',
        scope: 'read',
        returns: '{values, origins, problems, restart_required}',
      }),
      (c) =>
        c.json(config.effective(c.var.caller)),
    )
    .post(
      '/validate',
      operation({
        id: 'validateConfig',
        summary: 'Check a gatehouse.yaml without saving it',
        scope: 'admin',
        body: ValidateConfigInput,
        returns: '{ok, problems} with line and column',
        errors: ['invalid_input'],
      }),
      async (c) => {
        const problems = await config.validate(c.var.caller, c.req.valid('json').yaml)
        return c.json({ ok: problems.every(({ severity }) => severity !== 'error'), problems })
      },
    )
    .get(
      '/history',
      operation({
        id: 'listConfigVersions',
        summary: 'The last versions of gatehouse.yaml, newest first',
        scope: 'admin',
        returns: '{versions}',
      }),
      async (c) => c.json({ versions: await config.history(c.var.caller) }),
    )
    .get(
      '/history/:id',
      operation({
        id: 'getConfigVersion',
        summary: 'One version with its text, secrets masked',
        scope: 'admin',
        returns: 'The version and its yaml',
        errors: ['not_found', 'invalid_input'],
      }),
      async (c) => c.json(await config.version(c.var.caller, versionId(c.req.param('id')))),
    )
    .post(
      '/history/:id/restore',
      operation({
        id: 'restoreConfigVersion',
        summary: 'Bring a version back into force',
        scope: 'admin',
        returns: '{ok, restart_required}',
        errors: ['not_found', 'invalid_input', 'precondition_failed', 'conflict'],
      }),
      async (c) =>
        written(c, await config.restore(c.var.caller, versionId(c.req.param('id')), c.req.header('if-match'))),
    )
    .patch(
      '/:section',
      operation({
        id: 'updateConfigSection',
        summary: 'Change one section',
        description:
          'The body is the section itself: text for name and system_prompt, else a JSON merge patch, in which ' +
          'null removes. channels is replaced whole. A masked secret sent back keeps the secret.',
        scope: 'admin',
        returns: '{ok, restart_required, <section>}',
        errors: ['invalid_input', 'precondition_failed', 'conflict'],
      }),
      async (c) => {
        const section = c.req.param('section')
        const patch = await readJson(c, LARGEST)
        const result = await config.patchSection(c.var.caller, section, patch, c.req.header('if-match'))
        return written(c, result, { [section]: result.value })
      },
    )

async function unlessKnown(c: Context<AppEnv>, etag: string, answer: () => Response | Promise<Response>) {
  c.header('etag', etag)
  c.header('cache-control', 'no-cache')
  const known = c.req.header('if-none-match')
  return known !== undefined && matches(known, etag) ? c.body(null, 304) : answer()
}

function written(c: Context<AppEnv>, { etag, restartRequired }: ConfigWritten, more: Record<string, unknown> = {}) {
  c.header('etag', etag)
  return c.json({ ...more, ok: true, restart_required: restartRequired })
}

/** The body of PUT: an object from JSON, or the text of YAML. */
async function readConfig(c: Context<AppEnv>): Promise<Record<string, unknown> | string> {
  if (/^(application|text)\/(x-)?yaml\b/i.test(c.req.header('content-type') ?? '')) {
    return await readText(c, LARGEST)
  }
  const body = await readJson(c, LARGEST)
  if (!isGroup(body)) throw invalid('body', 'must be an object with the settings by section')
  return body
}

function versionId(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw invalid('id', 'must be the number of a version')
  return Number(text)
}
