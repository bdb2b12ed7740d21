import { readFile } from 'node:fs/promises'
import * as v from 'valibot'
import { AppError } from '../errors.ts'
import type { Outcome } from '../plugins/conformance/check.ts'
import type { CheckResult } from '../plugins/conformance/run.ts'
import type { Settings } from '../plugins/conformance/target.ts'
import { currentRuntime } from '../runtime/current.ts'
import { clean } from './clean.ts'
import { type Command, text } from './command.ts'
import { EXIT, usage } from './exit-codes.ts'

const MARKS: Record<Outcome['status'], string> = { pass: '✓', fail: '✗', warn: '!', skip: '–' }

/** Needs no server: it is for whoever writes a plugin. */
export const pluginsTest: Command = {
  name: 'plugins test',
  args: 'PLUGIN [ARGUMENT...]',
  summary: 'Check that a plugin does what the protocol asks, in any language',
  details:
    `PLUGIN is a folder with a plugin.json, or a program with its arguments; write -- before those that begin with
a dash. The plugin is started several times with the settings of --settings, a JSON file such as
{"config": {"server": "localhost"}, "secrets": {"token": "…"}, "env": {"DEBUG": "1"}}. Without --chat it may refuse to
send, as long as it answers. Exit code 1 when a check fails.`,
  options: {
    settings: { value: 'FILE', summary: 'JSON with config, secrets and env of the plugin' },
    chat: { value: 'ID', summary: 'A chat that exists; messages are really sent there' },
  },
  async run({ args, flags, out, env }) {
    // Only this command needs them; the others start sooner without.
    const { runConformance } = await import('../plugins/conformance/run.ts')
    const { openTarget } = await import('../plugins/conformance/target.ts')
    const settings = await readSettings(text({ flags }, 'settings'))
    const target = await openTarget(args, { runtime: await currentRuntime(), environment: env, settings })
      .catch((error: unknown) => {
        throw error instanceof AppError ? usage(error.message) : error
      })
    const { green, red, yellow, dim, bold } = out.style
    const paint = { pass: green, fail: red, warn: yellow, skip: dim }
    let told = ''
    const onResult = ({ status, title, message, duration_ms }: CheckResult): void => {
      if (out.json) return
      const slow = duration_ms >= 1000 ? dim(` ${(duration_ms / 1000).toFixed(1)} s`) : ''
      out.print(`  ${paint[status](MARKS[status])} ${status === 'skip' ? dim(title) : title}${slow}`)
      const words = clean(message ?? '')
      // After its death each check would tell the same long story of it.
      const [first = '', ...rest] = words.split('\n').filter((line) => line.trim() !== '')
      const story = rest.join('\n')
      const lines = first === '' ? [] : story !== '' && story === told ? [`${first} (the same)`] : [first, ...rest]
      told = story || told
      for (const line of lines) out.print(`      ${status === 'pass' || status === 'skip' ? dim(line) : line}`)
    }
    if (!out.json) out.print(bold(clean(target.name)))
    const report = await runConformance(target, { chat: text({ flags }, 'chat'), onResult })
    const { pass, fail, warn, skip } = report.summary
    out.show(report, () => out.print(`\n${pass} passed, ${fail} failed, ${warn} to look at, ${skip} skipped`))
    return report.ok ? EXIT.ok : EXIT.failed
  },
}

const SettingsFile = v.strictObject({
  config: v.optional(v.record(v.string(), v.unknown(), 'must be an object')),
  secrets: v.optional(v.record(v.string(), v.string('must be text'), 'must be an object')),
  env: v.optional(v.record(v.string(), v.string('must be text'), 'must be an object')),
}, 'must have only config, secrets and env')

async function readSettings(path: string | undefined): Promise<Settings> {
  if (path === undefined) return {}
  const content = await readFile(path, 'utf8').catch((error: Error) => {
    throw usage(`${path} can't be read: ${error.message}`)
  })
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch (error) {
    throw usage(`${path} is no JSON: ${(error as Error).message}`)
  }
  const result = v.safeParse(SettingsFile, value)
  if (result.success) return result.output as Settings
  const [issue] = result.issues
  throw usage(`${path}: ${issue.path?.map((step) => String(step.key)).join('.') ?? ''} ${issue.message}`)
}
