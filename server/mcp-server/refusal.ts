/** A refusal as MCP clients read it; -32000 is the protocol's number for "the server says no". */
export const refusal = (status: number, message: string, code = -32000): Response =>
  Response.json({ jsonrpc: '2.0', error: { code, message }, id: null }, { status })
