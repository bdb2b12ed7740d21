import type { ToolSpec } from '../../provider.ts'
import { code } from './markdown.ts'
import { noteRules } from './note-rules.ts'
import { listen, offered, phrase, type Plan, type Rule } from './rule.ts'
import { runRule } from './run-rule.ts'
import { searchRules } from './search-rules.ts'
import { systemRules } from './system-rules.ts'
import { HOW_TO_CONNECT, talkRules, WHAT_I_AM } from './talk-rules.ts'

const HELP = phrase(
  '\\/?help(?: me)?|\\?|\\/start|commands',
  'what (?:can|do) you (?:do|understand|know)(?: for me)?',
  'what (?:can|could) i (?:ask|say|do)(?: you)?(?: here)?',
  'how (?:can|do) you help(?: me)?|how does this work|how do i use (?:this|you)',
  'what are your (?:commands|capabilities|features|skills)',
)

const helpRule: Rule = {
  id: 'help',
  examples: ['help', 'what can you do?', '/help', '?', 'how can you help me?', 'what do you understand?'],
  match: ({ line }, tools) =>
    HELP.test(line) ? { say: `${WHAT_I_AM} I understand:\n\n${helpList(tools, 2)}\n\n${HOW_TO_CONNECT}` } : undefined,
}

/** All that the built-in provider understands; the first rule that matches answers. */
export const rules: Rule[] = [
  helpRule,
  ...noteRules,
  ...searchRules,
  ...systemRules,
  ...talkRules,
  runRule,
]

/** What channels put before the words of somebody in a group: the talk before, and who speaks (channels/ask-text.ts). */
const TALK_BEFORE = /^\[Said before in this chat, not to you:\]\n[^]*\n\[Said to you:\]\n/
const SPEAKER = /^[^\n:]{1,60}: (?:@\S+[\s,:]+)?(?=\S)/

/** What to do about a message. A plan never calls a tool that is not offered. */
export function plan(message: string, tools: ToolSpec[]): Plan {
  return understood(message, tools) ??
    understood(message.replace(TALK_BEFORE, '').replace(SPEAKER, ''), tools) ?? {
    say: `${WHAT_I_AM} So I can't answer this one. I understand requests such as:\n\n${helpList(tools, 1)}\n\n` +
      HOW_TO_CONNECT,
  }
}

function understood(message: string, tools: ToolSpec[]): Plan | undefined {
  const said = listen(message)
  for (const rule of rules) {
    const found = rule.match(said, tools)
    if (!found) continue
    if ('say' in found) return found
    const calls = found.calls.flatMap((call) => {
      const tool = offered(tools, call.name)
      return tool ? [{ ...call, name: tool.name }] : []
    })
    if (calls.length > 0) return { calls }
    const missing = found.calls.map((call) => code(call.name)).join(' and ')
    return { say: `I understood that, but it needs the tool ${missing}, which is not offered in this conversation.` }
  }
  return undefined
}

function helpList(tools: ToolSpec[], examples: number): string {
  return rules
    .filter((rule) => rule.summary && (rule.needs ?? []).every((name) => offered(tools, name)))
    .map((rule) => `- ${rule.summary}: ${rule.examples.slice(0, examples).map(code).join(', ')}`)
    .join('\n')
}
