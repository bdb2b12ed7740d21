import { Hono } from 'hono'
import {
  AvailableModelsQuery,
  CatalogQuery,
  CreateModelInput,
  CreateProviderInput,
  ListModelsQuery,
  TestProviderInput,
  UpdateModelInput,
  UpdateProviderInput,
} from '../../shared/models.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { Models } from './service.ts'
import { VENDOR_NAMES } from './vendors.ts'

const idOf = (c: { req: { param(name: 'id'): string } }): number => Number(c.req.param('id'))

/** Providers (spec openagent-api §5); mounted at `/api/providers`. */
export const providerRoutes = (models: Models) => {
  const updateDoc = (id: string) =>
    operation({
      id,
      summary: 'Change a provider',
      description:
        'A merge: what is left out stays. Framework and kind never change. An empty api_key removes the key.',
      scope: 'admin',
      body: UpdateProviderInput,
      returns: '{ok, provider}',
      errors: ['invalid_input', 'not_found', 'conflict'],
    })
  const switchDoc = (id: string, summary: string) =>
    operation({ id, summary, scope: 'admin', returns: '{ok, provider}', errors: ['not_found'] })

  return new Hono<AppEnv>()
    .get(
      '/',
      operation({
        id: 'listProviders',
        summary: 'Providers, without their keys',
        scope: 'read',
        returns: '{providers}',
      }),
      async (c) => c.json({ providers: await models.providers() }),
    )
    .post(
      '/',
      operation({
        id: 'createProvider',
        summary: 'Connect a provider',
        description: 'api_key is a key, or a reference such as ${OPENAI_API_KEY} that is read when it is needed.',
        scope: 'admin',
        body: CreateProviderInput,
        status: 201,
        returns: '{ok, provider}',
        errors: ['invalid_input', 'conflict'],
      }),
      async (c) => c.json({ ok: true, provider: await models.createProvider(c.var.caller, c.req.valid('json')) }, 201),
    )
    .put(
      '/:id{[0-9]+}',
      updateDoc('updateProvider'),
      async (c) =>
        c.json({ ok: true, provider: await models.updateProvider(c.var.caller, idOf(c), c.req.valid('json')) }),
    )
    .patch(
      '/:id{[0-9]+}',
      updateDoc('patchProvider'),
      async (c) =>
        c.json({ ok: true, provider: await models.updateProvider(c.var.caller, idOf(c), c.req.valid('json')) }),
    )
    .delete(
      '/:id{[0-9]+}',
      operation({
        id: 'deleteProvider',
        summary: 'Remove a provider and its models',
        scope: 'admin',
        returns: '{ok, models_purged}',
        errors: ['not_found'],
      }),
      async (c) => c.json({ ok: true, models_purged: await models.removeProvider(c.var.caller, idOf(c)) }),
    )
    .post(
      '/:id{[0-9]+}/enable',
      switchDoc('enableProvider', 'Switch a provider on'),
      async (c) =>
        c.json({ ok: true, provider: await models.updateProvider(c.var.caller, idOf(c), { enabled: true }) }),
    )
    .post(
      '/:id{[0-9]+}/disable',
      switchDoc('disableProvider', 'Switch a provider off'),
      async (c) =>
        c.json({ ok: true, provider: await models.updateProvider(c.var.caller, idOf(c), { enabled: false }) }),
    )
    .post(
      '/:id{[0-9]+}/test',
      operation({
        id: 'testProvider',
        summary: 'Ask one of its models for a word',
        description: '400 with {ok: false, error} when it does not answer.',
        scope: 'admin',
        body: TestProviderInput,
        returns: '{ok, model, response}',
        errors: ['not_found'],
      }),
      async (c) => {
        const result = await models.testProvider(idOf(c), c.req.valid('json').model, c.req.raw.signal)
        return c.json(result, result.ok ? 200 : 400)
      },
    )
}

/** Models (spec openagent-api §5); mounted at `/api/models`. */
export const modelRoutes = (models: Models) => {
  const updateDoc = (id: string) =>
    operation({
      id,
      summary: 'Change a model',
      description: 'A merge: what is left out stays. is_classifier makes it the default model.',
      scope: 'admin',
      body: UpdateModelInput,
      returns: '{ok, model}',
      errors: ['invalid_input', 'not_found', 'conflict'],
    })
  const switchDoc = (id: string, summary: string) =>
    operation({ id, summary, scope: 'admin', returns: '{ok, model}', errors: ['not_found'] })

  return new Hono<AppEnv>()
    .get(
      '/',
      operation({
        id: 'listModels',
        summary: 'Models that were added',
        scope: 'read',
        query: ListModelsQuery,
        returns: '{models}',
      }),
      async (c) => c.json({ models: await models.list(c.req.valid('query')) }),
    )
    .post(
      '/',
      operation({
        id: 'createModel',
        summary: 'Add a model of a provider',
        scope: 'admin',
        body: CreateModelInput,
        status: 201,
        returns: '{ok, model}',
        errors: ['invalid_input', 'conflict'],
      }),
      async (c) => c.json({ ok: true, model: await models.create(c.var.caller, c.req.valid('json')) }, 201),
    )
    .get(
      '/available',
      operation({
        id: 'listAvailableModels',
        summary: 'What a provider offers',
        description: 'Asked at most every ten minutes; refresh=1 asks now. error says why the list is empty.',
        scope: 'read',
        query: AvailableModelsQuery,
        returns: '{provider_id, provider, framework, models, error?}',
        errors: ['not_found'],
      }),
      async (c) => {
        const { provider_id, refresh } = c.req.valid('query')
        return c.json(await models.available(provider_id, refresh === '1', c.req.raw.signal))
      },
    )
    .get(
      '/catalog',
      operation({
        id: 'modelCatalog',
        summary: 'Enabled models with their prices',
        scope: 'read',
        query: CatalogQuery,
        returns: '{models}',
      }),
      async (c) => {
        const { provider } = c.req.valid('query')
        const enabled = await models.list({ enabled_only: '1' })
        return c.json({
          models: enabled.filter((model) => !provider || model.provider_name === provider).map((model) => ({
            provider: model.provider_name,
            framework: model.framework,
            model: model.model,
            model_id: model.model,
            runtime_id: model.runtime_id,
            history_mode: 'caller',
            tier_hint: model.tier_hint,
            // Old clients calculate with these; for them an unknown price is 0 (spec openagent-api §5).
            input_cost_per_million: model.input_cost_per_million ?? 0,
            output_cost_per_million: model.output_cost_per_million ?? 0,
          })),
        })
      },
    )
    .get(
      '/providers',
      operation({ id: 'listVendors', summary: 'Names of known vendors', scope: 'read', returns: '{providers}' }),
      (c) => c.json({ providers: VENDOR_NAMES }),
    )
    .get(
      '/options',
      operation({
        id: 'modelOptions',
        summary: 'What the model picker offers, the built-in assistant last',
        scope: 'read',
        returns: '{options: [{runtime_id, label, subtitle, default}]}',
      }),
      async (c) => c.json({ options: await models.options() }),
    )
    .put(
      '/:id{[0-9]+}',
      updateDoc('updateModel'),
      async (c) => c.json({ ok: true, model: await models.update(c.var.caller, idOf(c), c.req.valid('json')) }),
    )
    .patch(
      '/:id{[0-9]+}',
      updateDoc('patchModel'),
      async (c) => c.json({ ok: true, model: await models.update(c.var.caller, idOf(c), c.req.valid('json')) }),
    )
    .delete(
      '/:id{[0-9]+}',
      operation({
        id: 'deleteModel',
        summary: 'Remove a model',
        scope: 'admin',
        returns: '{ok}',
        errors: ['not_found'],
      }),
      async (c) => {
        await models.remove(c.var.caller, idOf(c))
        return c.json({ ok: true })
      },
    )
    .post(
      '/:id{[0-9]+}/enable',
      switchDoc('enableModel', 'Switch a model on'),
      async (c) => c.json({ ok: true, model: await models.update(c.var.caller, idOf(c), { enabled: true }) }),
    )
    .post(
      '/:id{[0-9]+}/disable',
      switchDoc('disableModel', 'Switch a model off'),
      async (c) => c.json({ ok: true, model: await models.update(c.var.caller, idOf(c), { enabled: false }) }),
    )
}
