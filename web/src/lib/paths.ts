/** Every link inside the page; nothing else writes a path. */
export const paths = {
  home: () => '/chat',
  chat: () => '/chat',
  session: (id: string) => `/chat/${encodeURIComponent(id)}`,
  mcp: (query: { tab?: string; q?: string; state?: string; add?: string; server?: string } = {}) =>
    withQuery('/mcp-servers', query),
  mcpServer: (name: string, query: { tab?: string; q?: string; tool?: string } = {}) =>
    withQuery(`/mcp-servers/${encodeURIComponent(name)}`, query),
  channels: (
    query: { tab?: string; setup?: string; channel?: string; state?: string; q?: string } = {},
  ) => withQuery('/channels', query),
  channel: (name: string, query: { tab?: string } = {}) => withQuery(`/channels/${encodeURIComponent(name)}`, query),
  plugins: (query: { tab?: string; q?: string; state?: string; review?: string } = {}) => withQuery('/plugins', query),
  plugin: (name: string, query: { tab?: string; level?: string } = {}) =>
    withQuery(`/plugins/${encodeURIComponent(name)}`, query),
  approvals: () => '/approvals',
  approvalHistory: (query: { state?: string; tool?: string; session?: string } = {}) =>
    withQuery('/approvals/history', query),
  /** `rule` is the id of one to point out. */
  rules: (query: { rule?: string } = {}) => withQuery('/approvals/rules', query),
  audit: (query: { action?: string; actor?: string; about?: string; days?: string } = {}) =>
    withQuery('/approvals/audit', query),
  tools: (query: { tool?: string; q?: string; source?: string; effect?: string; decision?: string } = {}) =>
    withQuery('/tools', query),
  logs: (query: { level?: string; event?: string; q?: string } = {}) => withQuery('/logs', query),
  system: () => '/system',
  settings: () => '/settings/keys',
  models: () => '/settings/models',
  config: (query: { view?: string } = {}) => withQuery('/settings/config', query),
  keys: () => '/settings/keys',
  /** `next` is where to go after signing in. */
  login: (next?: string) => withQuery('/login', { next }),
}

function withQuery(path: string, query: Record<string, string | undefined>): string {
  const set = Object.entries(query).filter((entry): entry is [string, string] => !!entry[1])
  return set.length === 0 ? path : `${path}?${new URLSearchParams(set)}`
}
