import type { Plugin } from '$shared/plugins.ts'

/** One thing that a plugin may do. `wide` is worth a second look. */
export type Permit = { topic: Topic; text: string; wide: boolean }
export type Topic = 'network' | 'read' | 'write' | 'programs' | 'variables' | 'system' | 'secrets' | 'offers'

/**
 * What a plugin may do, a line each. Of one that nothing restricts, it is only what it says of itself, and that is how
 * it is put.
 */
export function permitsOf({ name, surface, origin }: Pick<Plugin, 'name' | 'surface' | 'origin'>): Permit[] {
  const { permissions: { net, read, write, run, env, sys }, secrets, tools, capabilities, channels, routes, hooks } =
    surface
  const may = surface.restricted ? 'May' : 'Says that it may'
  const offers: Permit[] = [
    ...channels.map((name) => `Carries chats of ${name}`),
    ...(tools.length > 0
      ? [`Gives the agent ${tools.length === 1 ? 'a tool' : `${tools.length} tools`}: ${tools.join(', ')}`]
      : []),
    ...hooks.filter((event) => event !== 'tool.before').map((event) => `Hears of ${HEARD[event] ?? event}`),
    ...(hooks.includes('tool.before') ? ['Sees each call of a tool before it runs, and may forbid it'] : []),
    ...(capabilities.length > 0 ? [`Adds ${capabilities.map((kind) => ADDED[kind] ?? kind).join(', ')}`] : []),
  ].map((text) => ({ topic: 'offers', text, wide: false }))
  // A bare command declares nothing, which is not the same as wanting nothing.
  if (origin === 'config') return offers
  const line = (topic: Topic, list: string[], some: string, none: string, wide = false): Permit => ({
    topic,
    text: list.length > 0 ? `${may} ${some} ${list.join(', ')}` : `${may} ${none}`,
    wide: wide && list.length > 0,
  })
  return [
    net.includes('*')
      ? { topic: 'network', text: `${may} reach any address on the network`, wide: true }
      : line('network', net, 'reach', 'reach nothing on the network'),
    line('read', read, 'read its own files and', 'read nothing but its own files', read.some(isRoot)),
    line('write', write, 'write to its own data folder and', 'write nothing but its own data', write.some(isRoot)),
    line('programs', run, 'start', 'start no programs', true),
    ...(env.length > 0 ? [line('variables', env, 'see the variables', '')] : []),
    ...(sys.length > 0 ? [line('system', sys, 'ask the system for', '')] : []),
    ...(secrets.length > 0
      ? [
        {
          topic: 'secrets',
          text: `Is given the ${secrets.length === 1 ? 'secret' : 'secrets'} ${secrets.join(', ')}`,
          wide: false,
        } as const,
      ]
      : []),
    ...routes.map(({ path, match, methods, auth }): Permit => ({
      topic: 'network',
      text: `${auth === 'plugin' ? 'Receives requests from anybody on the internet' : 'Answers your own keys'} at ` +
        `/hooks/plugins/${name}/${path}${match === 'prefix' ? ' and below' : ''} (${methods.join(', ')})`,
      wide: auth === 'plugin',
    })),
    ...offers,
  ]
}

const ADDED: Record<string, string> = {
  command: 'commands in chats',
  service: 'work in the background',
  web_search: 'a web search',
  speech: 'voice notes written down',
  text_provider: 'models',
}

const HEARD: Record<string, string> = {
  'session.created': 'each new conversation',
  'message.received': 'each message of a chat, with its text',
  'turn.started': 'each question to the agent, with its text',
  'turn.finished': 'each answer of the agent, with its text',
  'tool.after': 'each result of a tool',
}

const isRoot = (path: string): boolean => /^([\\/]|[A-Za-z]:[\\/]?)$/.test(path)

/** What keeps it to that, if anything does. */
export function limitsOf(
  { restricted, runtime, origin, surface }: Pick<Plugin, 'restricted' | 'runtime' | 'origin' | 'surface'>,
): string {
  if (restricted) {
    const programs = surface.permissions.run.length > 0 ? ' The programs that it starts are not kept to them.' : ''
    return `Deno keeps it within these limits; an attempt to go beyond them is refused and shown here.${programs}`
  }
  const all = 'It can do whatever the user that Gatehouse runs as may do.'
  if (origin === 'config') return `It is a bare command without a manifest: it declares nothing. ${all}`
  return runtime === 'deno'
    ? `It is made for Deno, which is not installed here, so that nothing keeps it within limits. ${all}`
    : `Its runtime keeps no limits: what follows is only what it says of itself. ${all}`
}

/** What runs, and on what. */
export function startOf({ surface, runtime }: Pick<Plugin, 'surface' | 'runtime'>): string {
  if (!surface.start) return 'nothing'
  const on: Record<string, string> = {
    deno: ' on Deno',
    node: ' on Node',
    bun: ' on Bun',
    server: ' on the runtime of the server',
  }
  return `${surface.start}${on[runtime] ?? ''}`
}
