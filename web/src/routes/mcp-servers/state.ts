import type { Mcp } from '$shared/mcp.ts'

export type Look = { label: string; tone: 'neutral' | 'primary' | 'success' | 'warning' | 'destructive' }

/** The state of a server in a word. A stopped one is no fault: it starts when a call needs it. */
export function lookOf(mcp: Mcp): Look {
  if (!mcp.enabled) return { label: 'Switched off', tone: 'neutral' }
  if (mcp.needs_auth) return { label: 'Needs a sign-in', tone: 'warning' }
  if (mcp.state === 'failed') return { label: 'Failed', tone: 'destructive' }
  if (mcp.state === 'starting') return { label: 'Starting', tone: 'primary' }
  if (mcp.state === 'ready') return { label: 'Running', tone: 'success' }
  return mcp.server ? { label: 'Idle', tone: 'neutral' } : { label: 'Never started', tone: 'neutral' }
}

/** What the list can be narrowed to. */
export const FILTERS = [
  { value: '', label: 'All states' },
  { value: 'ready', label: 'Running' },
  { value: 'failed', label: 'Failed' },
  { value: 'review', label: 'Needs a look' },
  { value: 'off', label: 'Switched off' },
]

/** Whether the owner has to decide something. */
export const needsLook = (mcp: Mcp): boolean =>
  mcp.enabled && (mcp.needs_auth || mcp.changed_tools > 0 || mcp.inputs_missing.length > 0 || mcp.state === 'failed')

export function fits(mcp: Mcp, filter: string): boolean {
  if (filter === 'review') return needsLook(mcp)
  if (filter === 'off') return !mcp.enabled
  return filter === '' || (mcp.enabled && mcp.state === filter)
}

/** How a server is reached, in one line. */
export const reachOf = (mcp: Pick<Mcp, 'command' | 'args' | 'url'>): string =>
  mcp.url ?? [...mcp.command ?? [], ...mcp.args].map(quoted).join(' ')

const quoted = (word: string): string => /^[\w@%+=:,./${}*-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`

const MENDS: [RegExp, string][] = [
  [
    /program was not found/,
    'Install it on the machine that runs Gatehouse, or name it by its whole path in the settings.',
  ],
  [/variable \S+ is not set/, 'Restart Gatehouse after setting it, or enter the value in the settings.'],
  [/outbound\.allow/, 'Only do this for servers of your own.'],
  [
    /timed? ?out|-32001/i,
    'It may need longer for its first start: raise mcp_client.start_timeout_seconds, then restart it.',
  ],
  [/\b(401|403|unauthori[sz]ed|forbidden)\b/i, 'It refused the credentials: check its headers and variables.'],
  [/\b404\b|not found/i, 'There is nothing at this address: compare it with the server’s own instructions.'],
  [/ECONNREFUSED|can.?t be reached|fetch failed|ENOTFOUND/i, 'Check the address, and that the server is up.'],
  [/process ended|exited|connection (ended|closed)/i, 'It ended by itself. Its own last words are in the log.'],
]

/** What to do about the last failure. */
export function mendOf(mcp: Mcp): string | undefined {
  if (mcp.inputs_missing.length > 0) return 'Enter what is missing in the settings.'
  // The button beside it says the rest.
  if (mcp.needs_auth) return undefined
  const text = mcp.last_error
  return text ? MENDS.find(([pattern]) => pattern.test(text))?.[1] : undefined
}
