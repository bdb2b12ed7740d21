// Writes what is generated of the protocol's description: `node plugins/protocol.ts`.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { toJsonSchema } from '@valibot/to-json-schema'
import type * as v from 'valibot'
import { GatewayCommand, GatewayEvent } from '../shared/gateway-protocol.ts'
import { Manifest } from '../shared/plugin-manifest.ts'
import { CapabilityCommand, CapabilityEvent } from '../shared/plugin-protocol.ts'

type JsonSchema = Record<string, unknown>
type Message = { type: string; schema: JsonSchema }

export const SCHEMA_FILE = join(import.meta.dirname, 'protocol.schema.json')
export const DOCUMENT_FILE = join(import.meta.dirname, 'PROTOCOL.md')

/** Headings of the reference, and the schemas below each. */
const GROUPS = [
  { heading: 'Commands of the Gateway Protocol', prefix: 'to_plugin', options: GatewayCommand.options },
  { heading: 'Events of the Gateway Protocol', prefix: 'from_plugin', options: GatewayEvent.options },
  { heading: 'What the server says beside it', prefix: 'to_plugin', options: CapabilityCommand.options },
  { heading: 'What the plugin says beside it', prefix: 'from_plugin', options: CapabilityEvent.options },
]

/** JSON Schema of every message in both directions, and of the manifest. */
export function protocolSchema(): JsonSchema {
  const definitions: Record<string, JsonSchema> = {}
  const sides: Record<string, { $ref: string }[]> = { to_plugin: [], from_plugin: [] }
  for (const { prefix, options } of GROUPS) {
    for (const { type, schema } of messagesOf(options)) {
      definitions[`${prefix}.${type}`] = schema
      sides[prefix]!.push({ $ref: `#/$defs/${prefix}.${type}` })
    }
  }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Messages between Gatehouse and a plugin, one on each line',
    anyOf: [{ $ref: '#/$defs/to_plugin' }, { $ref: '#/$defs/from_plugin' }],
    $defs: {
      to_plugin: { description: 'A line on stdin of the plugin', anyOf: sides.to_plugin },
      from_plugin: { description: 'A line on stdout of the plugin', anyOf: sides.from_plugin },
      manifest: { description: 'plugin.json', ...schemaOf(Manifest) },
      ...definitions,
    },
  }
}

/** The tables between the two marks of `PROTOCOL.md`. */
export function protocolReference(): string {
  const lines: string[] = []
  for (const { heading, options } of GROUPS) {
    lines.push(`### ${heading}`, '')
    for (const { type, schema } of messagesOf(options)) {
      const { type: _, ...fields } = schema.properties as Record<string, JsonSchema>
      const required = new Set(schema.required as string[])
      lines.push(`#### \`${type}\``, '')
      const rows = Object.entries(fields).map(([name, field]) => [
        `\`${name}\``,
        describe(field),
        required.has(name) ? 'yes' : field.default === undefined ? '' : `\`${JSON.stringify(field.default)}\``,
      ])
      if (rows.length === 0) lines.push('No further field.', '')
      else lines.push(...table(['field', 'JSON', 'required, or default'], rows), '')
    }
  }
  return lines.join('\n').trimEnd()
}

const MARKS = ['<!-- Made by `node plugins/protocol.ts` from here -->', '<!-- to here -->'] as const

/** The document with its reference made anew. */
export function withReference(document: string): string {
  const [begin, end] = MARKS.map((mark) => document.indexOf(mark))
  if (begin! < 0 || end! < begin!) throw new Error(`PROTOCOL.md has lost its marks: ${MARKS.join(' … ')}`)
  return `${document.slice(0, begin! + MARKS[0].length)}\n\n${protocolReference()}\n\n${document.slice(end)}`
}

export const schemaText = (): string => `${JSON.stringify(protocolSchema(), null, 2)}\n`

function messagesOf(options: readonly v.GenericSchema[]): Message[] {
  return options.map((option) => {
    const schema = schemaOf(option)
    return { type: (schema.properties as { type: { const: string } }).type.const, schema }
  })
}

function schemaOf(schema: v.GenericSchema): JsonSchema {
  const { $schema: _, ...rest } = toJsonSchema(schema, { typeMode: 'input', errorMode: 'ignore' }) as JsonSchema
  return rest
}

/** A field in a few words. */
function describe(schema: JsonSchema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  const choices = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined
  if (choices) return [...new Set(choices.map(describe))].join(' or ')
  if (schema.enum) return (schema.enum as unknown[]).map((value) => `\`${JSON.stringify(value)}\``).join(' or ')
  if (schema.type === 'array') return `list of ${describe(schema.items as JsonSchema)}`
  if (schema.properties) {
    const required = new Set(schema.required as string[] | undefined)
    const fields = Object.entries(schema.properties as Record<string, JsonSchema>)
      .map(([name, field]) => `${name}${required.has(name) ? '' : '?'}: ${describe(field)}`)
    const rest = schema.additionalProperties as JsonSchema | undefined
    return `{${[...fields, ...(rest?.type ? [`…: ${describe(rest)}`] : [])].join(', ')}}`
  }
  if (schema.type === undefined) return 'anything'
  return schema.type === 'integer' ? 'whole number' : schema.type === 'null' ? '`null`' : String(schema.type)
}

/** As the formatter aligns it. */
function table(headings: string[], rows: string[][]): string[] {
  const all = [headings, ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')))
  const widths = headings.map((_, i) => Math.max(3, ...all.map((row) => row[i]!.length)))
  const line = (row: string[]): string => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  return [line(all[0]!), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...all.slice(1).map(line)]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(SCHEMA_FILE, schemaText())
  await writeFile(DOCUMENT_FILE, withReference(await readFile(DOCUMENT_FILE, 'utf8')))
}
