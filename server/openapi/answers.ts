import { COMPONENTS } from './schemas.ts'

/** A JSON Schema; what is in it depends on the value that it describes. */
export type JsonSchema = Record<string, unknown>

/** Answers of operations that tell them in prose, in the words that `answerSchema` reads. */
export const ANSWERS: Record<string, string> = {
  getMe: 'Me',
  listKeys: '{keys: ApiKey[]}',
  createKey: '{key: ApiKey, secret}',
  listProviders: '{providers: Provider[]}',
  createProvider: '{ok, provider: Provider}',
  getProvider: 'Provider',
  updateProvider: '{ok, provider: Provider}',
  patchProvider: '{ok, provider: Provider}',
  enableProvider: '{ok, provider: Provider}',
  disableProvider: '{ok, provider: Provider}',
  listModels: '{models: Model[]}',
  createModel: '{ok, model: Model}',
  getModel: 'Model',
  updateModel: '{ok, model: Model}',
  patchModel: '{ok, model: Model}',
  enableModel: '{ok, model: Model}',
  disableModel: '{ok, model: Model}',
  updateSession: 'Session',
  getQueue: '{items: Turn[]}',
  setQueue: '{items: Turn[], removed: []}',
  editQueued: '{items: Turn[]}',
  follow: 'TurnEvent',
}

/** Further good answers of operations that have more than one, by status. */
export const OTHER_ANSWERS: Record<string, Record<string, string>> = {
  createSession: { 200: 'Session' },
  sendMessage: { 200: 'Turn' },
  chat: { 202: '{response, model, errored, session_id, created, state}' },
  sendAgentMessage: { 202: '{session_id, call_id, command}' },
  approveAgentCall: { 202: '{status, call_id, command}' },
}

/** A reference to one of the schemas that the document names. */
export const refTo = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` })

/**
 * Reads what routes write of their answers: `Session`, `{sessions: Session[], nextCursor, error?}`. A name without a
 * type may hold anything. Prose is no shape and gives undefined.
 */
export function answerSchema(words: string): JsonSchema | undefined {
  const tokens = words.match(/[A-Za-z_]\w*|[{}[\],:?]|\S/g) ?? []
  let at = 0
  const take = (token: string): boolean => tokens[at] === token && ++at > 0

  function value(): JsonSchema | undefined {
    let schema = take('{') ? object() : take('[') ? list() : name()
    while (schema && take('[')) schema = take(']') ? { type: 'array', items: schema } : undefined
    return schema
  }

  function name(): JsonSchema | undefined {
    const token = tokens[at++] ?? ''
    return token in COMPONENTS ? refTo(token) : /^[A-Z]\w*$/.test(token) ? {} : undefined
  }

  function list(): JsonSchema | undefined {
    if (take(']')) return { type: 'array' }
    const items = value()
    return items && take(']') ? { type: 'array', items } : undefined
  }

  function object(): JsonSchema | undefined {
    const properties: Record<string, JsonSchema> = {}
    const required: string[] = []
    for (;;) {
      const key = tokens[at++] ?? ''
      if (!/^[A-Za-z_]\w*$/.test(key)) return undefined
      if (!take('?')) required.push(key)
      const schema = take(':') ? value() : key === 'ok' ? { type: 'boolean' } : {}
      if (!schema) return undefined
      properties[key] = schema
      if (take('}')) return { type: 'object', properties, required }
      if (!take(',')) return undefined
    }
  }

  const schema = value()
  return at === tokens.length ? schema : undefined
}
