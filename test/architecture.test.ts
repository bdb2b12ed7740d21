import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const LEFT_OUT = /node_modules|\/build\/|\.svelte-kit|\.test\.ts$/

/** Imports no feature, only what `LENT` names. */
const PLUMBING = new Set(['errors.ts', 'bus', 'db', 'http', 'runtime'])
/** Build and join everything. */
const TOP = new Set(['app.ts', 'features.ts', 'main.ts', 'start.ts', 'cli', 'dev'])

/** Beside `service.ts`, what a feature lends to the others, and why. */
const LENT: Record<string, string> = {
  'server/auth/principal.ts': 'who calls and what they may do is asked everywhere',
  'server/models/provider.ts': 'the port between the runner and the vendors',
  'server/models/retry.ts': 'when to ask a model again is known to models and done where turns run',
  'server/plugins/gateway.ts': 'the port between channels and the plugins that carry them',
  'server/sessions/event-log.ts': 'the EventLog port: whoever adds to a turn writes through it',
  'server/system/log.ts': 'the type of the log',
  'server/system/redact.ts': 'what counts as a secret is decided once',
  'server/tools/define.ts': 'how a feature declares its tools',
  'server/tools/gate.ts': 'the one gate before every call (design §6)',
  'server/tools/tool.ts': 'the one shape of a tool',
}

/** Files of our own that each source imports, as paths from the root; `$lib` and `$shared` are resolved. */
const imports = new Map(
  ['server', 'shared', 'web/src', 'plugins']
    .flatMap((folder) => globSync(`${folder}/**/*.{ts,svelte}`, { cwd: ROOT }))
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => !LEFT_OUT.test(file))
    .map((file) => [file, importsOf(file)]),
)

describe('architecture', () => {
  it('finds sources and their imports', () => {
    assert.ok(imports.size > 20)
    assert.deepEqual(imports.get('server/runtime/current.ts')?.sort(), [
      'server/runtime/bun.ts',
      'server/runtime/deno.ts',
      'server/runtime/node.ts',
      'server/runtime/port.ts',
    ])
  })

  it('shared knows nobody, the web and plugins know only shared and themselves', () => {
    holds((from, to) => !from.startsWith('shared/') || to.startsWith('shared/'))
    holds((from, to) => !from.startsWith('web/') || /^(web|shared)\//.test(to))
    holds((from, to) =>
      !from.startsWith('plugins/') || to.startsWith('shared/') || to.startsWith('plugins/sdk/') ||
      pluginOf(from) === pluginOf(to)
    )
    holds((from, to) => !from.startsWith('server/') || /^(server|shared)\//.test(to))
  })

  it('plumbing imports no feature', () => {
    holds((from, to) => !PLUMBING.has(partOf(from)) || isShared(to) || PLUMBING.has(partOf(to)) || to in LENT)
  })

  it("features meet only at another's service, or at what it lends", () => {
    holds((from, to) =>
      partOf(from) === partOf(to) || !isFeature(partOf(from)) || isShared(to) || PLUMBING.has(partOf(to)) ||
      (isFeature(partOf(to)) && (to.endsWith('/service.ts') || to in LENT))
    )
  })

  it('only the runtime folder names a runtime', () => {
    const naming = /\b(?:Deno|Bun)\.\w|\bglobalThis\.(?:Deno|Bun)\b|from '(?:bun|bun:[^']*|@hono\/node-server)'/
    const found = serverFiles().filter((file) => !file.startsWith('server/runtime/') && naming.test(codeOf(file)))
    assert.deepEqual(found, [])
  })

  it('the environment is read in one place', () => {
    const allowed = /^server\/(config\/|cli\/|runtime\/|main\.ts$)/
    const found = serverFiles().filter((file) => !allowed.test(file) && /\bprocess\.env\b/.test(codeOf(file)))
    assert.deepEqual(found, [])
  })
})

/** Fails with every import of one of our files by another that breaks the rule. */
function holds(rule: (from: string, to: string) => boolean): void {
  const all = [...imports].flatMap(([from, targets]) => targets.map((to) => [from, to] as const))
  const broken = all.filter(([from, to]) => !rule(from, to))
  assert.deepEqual(broken.map(([from, to]) => `${from} imports ${to}`), [])
}

function importsOf(file: string): string[] {
  const found = codeOf(file).matchAll(
    /(?:\bfrom|\bimport|\bimport\()\s*['"]((?:\.{1,2}\/|\$lib\/|\$shared\/)[^'"]+)['"]/g,
  )
  return [...found].map(([, target]) =>
    target!.startsWith('$lib/')
      ? target!.replace('$lib', 'web/src/lib')
      : target!.startsWith('$shared/')
      ? target!.replace('$shared', 'shared')
      : join(dirname(file), target!).replaceAll('\\', '/')
  )
}

/** Without comments, which may name anything. */
function codeOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[^]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
}

const serverFiles = (): string[] => [...imports.keys()].filter((file) => file.startsWith('server/'))

/** The part of the server that a file belongs to: a folder, or a file at its top. Empty outside the server. */
const partOf = (file: string): string => file.startsWith('server/') ? file.split('/')[1]! : ''

const isShared = (file: string): boolean => file.startsWith('shared/')

const pluginOf = (file: string): string => file.split('/').slice(0, 2).join('/')

const isFeature = (part: string): boolean => part !== '' && !PLUMBING.has(part) && !TOP.has(part)
