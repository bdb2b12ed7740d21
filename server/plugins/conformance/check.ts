import type { Probe } from './probe.ts'
import type { Target } from './target.ts'

/** How one check went; `message` says what was seen and how to mend it. */
export type Outcome = { status: 'pass' | 'fail' | 'warn' | 'skip'; message?: string }

/** What a check works with. */
export type Bench = {
  target: Target
  /** One running plugin that most checks share; it is started by the first one. */
  shared(): Promise<Probe>
  /** Another one, for checks that end it. */
  fresh(): Promise<Probe>
  /** A chat that messages really may be sent to; any id when the owner named none. */
  chat: string
  /** Whether that chat exists, so that sending has to succeed. */
  chatExists: boolean
}

/** One thing that a plugin has to do, in a sentence about it. */
export type Check = { id: string; title: string; run(bench: Bench): Promise<Outcome> }

export const pass: Outcome = { status: 'pass' }
export const fail = (message: string): Outcome => ({ status: 'fail', message })
export const warn = (message: string): Outcome => ({ status: 'warn', message })
export const skip = (message: string): Outcome => ({ status: 'skip', message })

/** The end of what a plugin wrote to stderr, for messages. */
export function lastWords(probe: Probe): string {
  const said = probe.stderr().trim().split('\n').slice(-12).join('\n')
  const ended = probe.ended()
  const how = ended ? `It ended with ${ended.signal ?? `code ${ended.code}`}.` : ''
  return [how, said && `It said on stderr:\n${said}`].filter(Boolean).join(' ')
}
