import { Config } from '../../shared/config.ts'

/** `Config` as JSON Schema, for forms and editors; secrets are marked `writeOnly`. */
export async function configJsonSchema(): Promise<Record<string, unknown>> {
  const { toJsonSchema } = await import('@valibot/to-json-schema')
  const schema = toJsonSchema(Config, {
    typeMode: 'input',
    errorMode: 'ignore',
    overrideAction: ({ valibotAction, jsonSchema }) =>
      valibotAction.type === 'metadata' && (valibotAction as { metadata?: { secret?: boolean } }).metadata?.secret
        ? { ...jsonSchema, writeOnly: true, format: 'password' }
        : undefined,
  })
  return { ...schema, title: 'gatehouse.yaml' }
}
