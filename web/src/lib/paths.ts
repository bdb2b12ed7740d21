/** Every link inside the page; nothing else writes a path. */
export const paths = {
  home: () => '/chat',
  chat: () => '/chat',
  session: (id: string) => `/chat/${encodeURIComponent(id)}`,
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
