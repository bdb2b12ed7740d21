import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import * as v from 'valibot'
import { DOCUMENT_FILE, protocolSchema, SCHEMA_FILE, schemaText, withReference } from '../plugins/protocol.ts'
import { GatewayCommand, GatewayEvent } from '../shared/gateway-protocol.ts'
import { PluginId } from '../shared/plugin-manifest.ts'
import { CapabilityCommand, CapabilityEvent } from '../shared/plugin-protocol.ts'

const MEND = 'run: node plugins/protocol.ts'

describe('the description of the plugin protocol', () => {
  it('has the reference and the JSON Schema of the messages as they are now', async () => {
    const document = await readFile(DOCUMENT_FILE, 'utf8')
    assert.equal(document, withReference(document), MEND)
    assert.equal(await readFile(SCHEMA_FILE, 'utf8'), schemaText(), MEND)
  })

  it('describes every message in both directions, and only those', () => {
    const { $defs } = protocolSchema() as { $defs: Record<string, { anyOf?: { $ref: string }[] }> }
    const named = (side: string) => $defs[side]!.anyOf!.map(({ $ref }) => $ref.split('.').at(-1)!).sort()
    const types = (...unions: { options: readonly { entries: { type: { literal: string } } }[] }[]) =>
      unions.flatMap(({ options }) => options.map(({ entries }) => entries.type.literal)).sort()
    assert.deepEqual(named('to_plugin'), types(GatewayCommand, CapabilityCommand))
    assert.deepEqual(named('from_plugin'), types(GatewayEvent, CapabilityEvent))
  })

  it('takes no id whose page would be another one', () => {
    for (const id of ['browse', 'doctor', 'Big', '../x', '7', '']) assert.equal(v.is(PluginId, id), false, id)
    for (const id of ['doctors', 'install', 'constructor']) assert.equal(v.is(PluginId, id), true, id)
  })

  it('gives examples that are valid messages', async () => {
    const document = await readFile(DOCUMENT_FILE, 'utf8')
    const examples = [...document.matchAll(/^(?:→|←) (\{.*\})$/gm)].map(([line, json]) => ({
      side: line[0] === '→' ? [GatewayCommand, CapabilityCommand] : [GatewayEvent, CapabilityEvent],
      value: JSON.parse(json!) as unknown,
    }))
    assert.ok(examples.length > 8)
    for (const { side, value } of examples) {
      assert.ok(side.some((schema) => v.is(schema as v.GenericSchema, value)), JSON.stringify(value))
    }
  })
})
