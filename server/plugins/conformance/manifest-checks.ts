import { lstat, readdir, realpath } from 'node:fs/promises'
import { isAbsolute, join, sep } from 'node:path'
import * as v from 'valibot'
import { Manifest, MANIFEST_FILE } from '../../../shared/plugin-manifest.ts'
import { isInside } from '../gates.ts'
import { type Check, fail, type Outcome, pass, skip, warn } from './check.ts'
import type { Target } from './target.ts'

/** What can be said of a plugin without running it. */
export const manifestChecks: Check[] = [
  ofFolder('manifest', `${MANIFEST_FILE} can be read`, ({ rawManifest }) => {
    if (rawManifest instanceof Error) return fail(`It is no JSON: ${rawManifest.message}`)
    const result = v.safeParse(Manifest, rawManifest)
    if (result.success) return pass
    const problems = result.issues.map((issue) => {
      const field = issue.path?.map((step) => String(step.key)).join('.') ?? ''
      return `${field} ${issue.received === 'undefined' ? 'is missing' : issue.message}`.trim()
    })
    return fail(problems.join('; '))
  }),

  ofManifest('entry', 'the program is inside the folder', async ({ manifest, folder }) => {
    const root = await realpath(folder!)
    const { entry, command: [program = '', ...args] = [] } = manifest!
    const files = entry !== undefined ? [entry] : program.includes('/') ? [program] : []
    // In `python3 main.py` the program of the machine runs what is in the folder.
    for (const arg of args) {
      const info = isAbsolute(arg) ? undefined : await lstat(join(root, arg)).catch(() => undefined)
      if (info && !info.isDirectory()) files.push(arg)
    }
    for (const file of files) {
      const path = await realpath(join(root, file)).catch(() => undefined)
      if (path === undefined) return fail(`${file} does not exist`)
      if (!isInside(root, path)) return fail(`${file} leads out of the folder, to ${path}`)
    }
    return files.length > 0 ? pass : skip('It is a program of the machine, and runs no file of the folder')
  }),

  ofFolder('rights', 'other accounts of the machine can not write to its files', async ({ folder }) => {
    const names = await readdir(folder!, { recursive: true })
    for (const name of ['.', ...names.filter((name) => !name.split(sep).includes('node_modules'))]) {
      const info = await lstat(join(folder!, name))
      if (!info.isSymbolicLink() && (info.mode & 0o002) !== 0) {
        return fail(`${name} may be written by everybody; mend it with: chmod -R o-w ${folder}`)
      }
    }
    return pass
  }),

  ofManifest('settings', 'its settings are described by a JSON Schema of an object', ({ manifest }) => {
    const schema = manifest!.config_schema as { type?: unknown; properties?: unknown; required?: unknown }
    if (schema.type !== 'object') return fail('config_schema.type must be "object"')
    const properties = schema.properties ?? {}
    if (typeof properties !== 'object' || Array.isArray(properties)) {
      return fail('config_schema.properties must be an object')
    }
    const known = new Set([...Object.keys(properties as object), ...manifest!.secrets.map(({ name }) => name)])
    const strange = Object.keys(manifest!.ui_hints).filter((name) => !known.has(name))
    if (strange.length > 0) return fail(`ui_hints names what is neither a setting nor a secret: ${strange.join(', ')}`)
    const required = Array.isArray(schema.required) ? schema.required as string[] : []
    const missing = required.filter((name) => !Object.hasOwn(properties as object, name))
    if (missing.length > 0) return fail(`config_schema.required names no setting: ${missing.join(', ')}`)
    const bare = Object.entries(properties as Record<string, { title?: string }>)
      .filter(([name, property]) => !property?.title && !manifest!.ui_hints[name]?.label)
    return bare.length > 0
      ? warn(`These settings have no title for people: ${bare.map(([name]) => name).join(', ')}`)
      : pass
  }),

  ofManifest('secrets', 'its secrets are declared as such, not as settings', ({ manifest }) => {
    const properties = Object.keys((manifest!.config_schema as { properties?: object }).properties ?? {})
    const both = manifest!.secrets.map(({ name }) => name).filter((name) => properties.includes(name))
    if (both.length > 0) return fail(`These are in config_schema too: ${both.join(', ')}`)
    const likely = properties.filter((name) => /(^|_)(token|secret|password|passphrase|api_?key)$/i.test(name))
    return likely.length > 0
      ? fail(`These settings look like secrets; move them to "secrets": ${likely.join(', ')}`)
      : pass
  }),

  ofManifest('permissions', 'it runs within what it asks for', ({ manifest }) => {
    const { runtime, entry, permissions } = manifest!
    if (permissions.net.includes('*')) return warn('It may reach any host; name those that it needs in permissions.net')
    return entry !== undefined && runtime === 'deno'
      ? pass
      : warn('Only "runtime": "deno" keeps a plugin within its permissions; the owner sees it as unrestricted')
  }),

  ofFolder('readme', 'a README.md says how it is set up', async ({ folder }) => {
    const info = await lstat(join(folder!, 'README.md')).catch(() => undefined)
    return info?.isFile() ? pass : warn('There is none')
  }),
]

function ofFolder(id: string, title: string, look: (target: Target) => Outcome | Promise<Outcome>): Check {
  return {
    id,
    title,
    run: async ({ target }) => target.folder === undefined ? skip('A bare command has no folder') : await look(target),
  }
}

function ofManifest(id: string, title: string, look: (target: Target) => Outcome | Promise<Outcome>): Check {
  return ofFolder(
    id,
    title,
    (target) => target.manifest ? look(target) : skip(`${MANIFEST_FILE} can not be read`),
  )
}
