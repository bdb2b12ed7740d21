import { Hono } from 'hono'
import {
  AcceptPluginInput,
  BrowsePluginsQuery,
  EnablePluginInput,
  InstallPluginInput,
  PluginLogQuery,
  PutPluginConfigInput,
} from '../../shared/plugins.ts'
import type { AppEnv } from '../http/env.ts'
import { operation } from '../http/operation.ts'
import type { Plugins } from './service.ts'

/** Plugins: looking at them, deciding about them, their settings and logs. */
export const pluginRoutes = (plugins: Plugins) =>
  new Hono<AppEnv>()
    .get(
      '/api/plugins',
      operation({
        id: 'listPlugins',
        summary: 'Plugins that are installed or come with the server, with their live state',
        description: 'Read from manifests; none of their code is run for it.',
        scope: 'read',
        returns: '{plugins}',
      }),
      async (c) => c.json({ plugins: await plugins.list(c.var.caller) }),
    )
    .post(
      '/api/plugins/reload',
      operation({
        id: 'reloadPlugins',
        summary: 'Look at all plugin folders again',
        description: 'What changed is started anew, everything else goes on.',
        scope: 'admin',
        returns: '{plugins}',
      }),
      async (c) => c.json({ plugins: await plugins.reload(c.var.caller) }),
    )
    .post(
      '/api/plugins/install',
      operation({
        id: 'installPlugin',
        summary: 'Install a plugin from npm, a folder or an archive',
        description:
          'Its own install scripts are never run. It is not enabled by that: read its surface, then enable it.',
        scope: 'admin',
        body: InstallPluginInput,
        status: 201,
        returns: '{plugin}',
        errors: ['invalid_input', 'conflict', 'unprocessable', 'bad_gateway'],
      }),
      async (c) => c.json({ plugin: await plugins.install(c.var.caller, c.req.valid('json')) }, 201),
    )
    .get(
      '/api/plugins/browse',
      operation({
        id: 'browsePlugins',
        summary: "Plugins in npm's registry",
        description: 'Packages with the keyword gatehouse-plugin, in the registry that npm is set up with.',
        scope: 'admin',
        query: BrowsePluginsQuery,
        returns: '{packages}',
        errors: ['invalid_input', 'unavailable', 'bad_gateway'],
      }),
      async (c) => c.json({ packages: await plugins.browse(c.var.caller, c.req.valid('query').q) }),
    )
    .get(
      '/api/plugins/doctor',
      operation({
        id: 'checkPlugins',
        summary: 'What is wrong with plugins, and how to mend it',
        scope: 'admin',
        returns: '{checks}',
      }),
      async (c) => c.json({ checks: await plugins.doctor(c.var.caller) }),
    )
    .get(
      '/api/plugins/:name',
      operation({
        id: 'getPlugin',
        summary: 'One plugin with its manifest, what it may do, and its memory over time',
        scope: 'read',
        returns: '{plugin}',
        errors: ['not_found'],
      }),
      async (c) => c.json({ plugin: await plugins.get(c.var.caller, c.req.param('name')) }),
    )
    .delete(
      '/api/plugins/:name',
      operation({
        id: 'uninstallPlugin',
        summary: 'Stop a plugin and remove it with its data and settings',
        description: 'Answers 409 while a channel of gatehouse.yaml uses it.',
        scope: 'admin',
        returns: '{ok}',
        errors: ['not_found', 'conflict'],
      }),
      async (c) => {
        await plugins.uninstall(c.var.caller, c.req.param('name'))
        return c.json({ ok: true })
      },
    )
    .post(
      '/api/plugins/:name/accept',
      operation({
        id: 'acceptPlugin',
        summary: 'Accept what a plugin may do',
        description: 'surface_hash says which surface was read; another one answers 409.',
        scope: 'admin',
        body: AcceptPluginInput,
        returns: '{plugin}',
        errors: ['not_found', 'conflict'],
      }),
      async (c) =>
        c.json({
          plugin: await plugins.accept(c.var.caller, c.req.param('name'), c.req.valid('json').surface_hash),
        }),
    )
    .post(
      '/api/plugins/:name/enable',
      operation({
        id: 'enablePlugin',
        summary: 'Switch a plugin on',
        description:
          'With surface_hash it is accepted along. Answers 409 while what it may do is not accepted. What gatehouse.yaml ' +
          'names is switched there.',
        scope: 'admin',
        body: EnablePluginInput,
        returns: '{plugin}',
        errors: ['not_found', 'conflict', 'precondition_failed'],
      }),
      async (c) =>
        c.json({
          plugin: await plugins.enable(c.var.caller, c.req.param('name'), c.req.valid('json').surface_hash),
        }),
    )
    .post(
      '/api/plugins/:name/disable',
      operation({
        id: 'disablePlugin',
        summary: 'Switch a plugin off',
        description: 'What gatehouse.yaml names is switched there.',
        scope: 'admin',
        returns: '{plugin}',
        errors: ['not_found', 'conflict', 'precondition_failed'],
      }),
      async (c) => c.json({ plugin: await plugins.disable(c.var.caller, c.req.param('name')) }),
    )
    .post(
      '/api/plugins/:name/restart',
      operation({
        id: 'restartPlugin',
        summary: 'Start a plugin anew, also out of quarantine',
        scope: 'admin',
        returns: '{plugin}',
        errors: ['not_found', 'conflict'],
      }),
      async (c) => c.json({ plugin: await plugins.restart(c.var.caller, c.req.param('name')) }),
    )
    .get(
      '/api/plugins/:name/config',
      operation({
        id: 'getPluginConfig',
        summary: 'Settings of a plugin with their schema',
        description: 'Of secrets only whether they are set.',
        scope: 'admin',
        returns: 'The settings, their schema and hints for a form',
        errors: ['not_found'],
      }),
      async (c) => c.json(await plugins.config(c.var.caller, c.req.param('name'))),
    )
    .put(
      '/api/plugins/:name/config',
      operation({
        id: 'putPluginConfig',
        summary: 'Set the settings and secrets of a plugin',
        description: 'A secret that is left out stays, null removes it. A running plugin is started anew.',
        scope: 'admin',
        body: PutPluginConfigInput,
        returns: 'The settings, their schema and hints for a form',
        errors: ['not_found', 'invalid_input', 'conflict'],
      }),
      async (c) => c.json(await plugins.putConfig(c.var.caller, c.req.param('name'), c.req.valid('json'))),
    )
    .get(
      '/api/plugins/:name/logs',
      operation({
        id: 'getPluginLogs',
        summary: 'What a plugin wrote, and what happened to it',
        description: 'The newest lines; with after=SEQ those that came since.',
        scope: 'admin',
        query: PluginLogQuery,
        returns: '{lines}',
        errors: ['not_found'],
      }),
      async (c) => c.json({ lines: await plugins.logs(c.var.caller, c.req.param('name'), c.req.valid('query')) }),
    )
