import type { ChannelRoute, RouteTestResult } from '$shared/channels.ts'

const PARTS: [keyof ChannelRoute['match'], string][] = [
  ['channel', 'on'],
  ['chat_type', 'in a chat of type'],
  ['chat_id', 'in chat'],
  ['thread_id', 'in thread'],
  ['sender_id', 'from'],
]

/** The conditions of a rule: `on telegram, from 42`. */
export function matchWords({ match }: Pick<ChannelRoute, 'match'>): string {
  const parts = PARTS.filter(([name]) => match[name] !== undefined && match[name] !== '*')
    .map(([name, words]) => `${words} ${match[name]}`)
  return parts.join(', ') || 'every message'
}

/** What a rule does: `to session work, with gpt-5`. */
export function effectWords({ agent, session, model, instructions, ignore }: ChannelRoute): string {
  if (ignore) return 'dropped'
  return [
    session ? `to the session ${session}` : 'to a session of its own chat',
    ...(agent ? [`answered by ${agent}`] : []),
    ...(model ? [`with ${model}`] : []),
    ...(instructions ? ['with instructions'] : []),
  ].join(', ')
}

export const ACTIONS: Record<
  RouteTestResult['action'],
  { label: string; tone: 'success' | 'primary' | 'warning' | 'neutral' | 'destructive' }
> = {
  answer: { label: 'Answered', tone: 'success' },
  context: { label: 'Kept as context', tone: 'primary' },
  record: { label: 'Recorded only', tone: 'neutral' },
  pair: { label: 'Gets a pairing code', tone: 'warning' },
  drop: { label: 'Dropped', tone: 'destructive' },
}
