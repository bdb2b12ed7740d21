-- MCP servers that the owner configured. Times are epoch milliseconds.
create table mcp_servers (
  name text primary key,
  -- JSON of what may be shown: command, address, variables and headers, with secrets masked.
  shown text not null,
  -- The same with the secrets, sealed with the key of the home.
  sealed text not null,
  -- JSON of the settings that hold no secret.
  settings text not null,
  enabled integer not null,
  -- OAuth client, tokens and discovery, sealed; null when there are none.
  oauth_state text,
  -- What the server said of itself, as JSON; null until it was connected once.
  about text,
  created_at integer not null,
  updated_at integer not null
) strict;

-- Tools of these servers, so that they are known without starting anything.
create table mcp_tools (
  server text not null references mcp_servers (name) on delete cascade,
  name text not null,
  position integer not null,
  -- JSON: title, description, input_schema, annotations.
  definition text not null,
  hash text not null,
  -- What the owner accepted; calls ask while it differs. Null for a tool that turned up later.
  accepted text,
  accepted_hash text,
  enabled integer not null,
  -- The owner's word on what the tool does.
  effect text check (effect in ('read', 'write', 'execute')),
  primary key (server, name)
) strict;
