/** The parts of the SDK that a server needs. */
export type Sdk = Awaited<ReturnType<typeof load>>

let loaded: Promise<Sdk> | undefined

/** Loads the SDK at the first MCP request: it and its schemas are most of what such a server takes in memory. */
export const loadSdk = (): Promise<Sdk> => loaded ??= load()

async function load() {
  const [{ Server }, { WebStandardStreamableHTTPServerTransport }, { AjvJsonSchemaValidator }, types] = await Promise
    .all([
      import('@modelcontextprotocol/sdk/server/index.js'),
      import('@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js'),
      import('@modelcontextprotocol/sdk/validation/ajv-provider.js'),
      import('@modelcontextprotocol/sdk/types.js'),
    ])
  // One for all connections: each would make its own otherwise.
  return { Server, WebStandardStreamableHTTPServerTransport, validator: new AjvJsonSchemaValidator(), types }
}
