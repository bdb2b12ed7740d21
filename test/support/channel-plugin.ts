import { join } from 'node:path'
import process from 'node:process'
import { type Probe, startProbe } from '../../server/plugins/conformance/probe.ts'
import { type CheckResult, runConformance } from '../../server/plugins/conformance/run.ts'
import { openTarget, type Settings } from '../../server/plugins/conformance/target.ts'
import { currentRuntime } from '../../server/runtime/current.ts'

const PLUGINS = join(import.meta.dirname, '..', '..', 'plugins')
const RUN = process.versions.deno ? ['run', '-A', '--no-check', '--no-prompt'] : []

/** Starts a plugin of ours on the runtime that runs the tests, with a core that keeps what it remembers in `state`. */
export async function startPlugin(
  id: string,
  { config = {}, secrets = {}, state, publicUrl }: Settings & {
    state?: Map<string, unknown>
    /** Where its routes are reached. */
    publicUrl?: string
  } = {},
): Promise<Probe> {
  return await startProbe({
    runtime: await currentRuntime(),
    command: process.execPath,
    args: [...RUN, join(PLUGINS, id, 'main.ts')],
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
    configure: {
      type: 'configure',
      protocol: 'gatehouse.v1',
      plugin: { id, name: id, version: '1.0.0' },
      config,
      secrets,
      data_dir: null,
      ...(publicUrl ? { public_url: publicUrl } : {}),
    },
    ...(state ? { state } : {}),
  })
}

/**
 * What the conformance kit has against a plugin of ours; messages to `chat` have to arrive. It runs within its
 * permissions, or as a `bare` program, for one that may not reach a platform on this machine.
 */
export async function faultsOf(
  id: string,
  settings: Settings,
  chat: string,
  { bare = false } = {},
): Promise<CheckResult[]> {
  const words = bare ? [process.execPath, ...RUN, join(PLUGINS, id, 'main.ts')] : [join(PLUGINS, id)]
  const target = await openTarget(words, {
    runtime: await currentRuntime(),
    environment: process.env,
    settings,
  })
  const report = await runConformance(target, { chat })
  return report.sections.flatMap(({ checks }) => checks).filter(({ status }) => status === 'fail')
}
