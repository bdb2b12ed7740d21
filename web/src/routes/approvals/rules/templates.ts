import type { RuleDraft } from '../../../lib/api/tools.ts'

/** A usual rule, to begin with. */
export type Template = { title: string; hint: string; rule: RuleDraft }

export const BLANK: RuleDraft = { decision: 'ask', tool: '*', when: '', note: '' }

export const TEMPLATES: Template[] = [
  {
    title: 'Let git look',
    hint: 'Reading commands of git run without a question',
    rule: {
      decision: 'allow',
      tool: 'shell.run',
      when: "args.command.matches('^git (status|log|diff|show)( |$)')",
      note: 'Only looks at the repository',
    },
  },
  {
    title: 'Never delete by command',
    hint: 'rm and its like are refused, however they are written',
    rule: {
      decision: 'deny',
      tool: 'shell.run',
      when: "args.command.matches('^(rm|rmdir|shred|dd)( |$)')",
      note: 'Deleting is for people',
    },
  },
  {
    title: 'Never push',
    hint: 'What leaves this machine by git is refused',
    rule: { decision: 'deny', tool: 'shell.run', when: "args.command.startsWith('git push')", note: '' },
  },
  {
    title: 'Ask before any web page',
    hint: 'Also where reading would be allowed',
    rule: { decision: 'ask', tool: 'web.*', when: '', note: 'What is asked for may leave traces' },
  },
  {
    title: 'Web pages of some hosts only',
    hint: 'Every other address is refused',
    rule: {
      decision: 'deny',
      tool: 'web.fetch',
      when: "!['https://docs.example.com/', 'https://example.org/'].exists(start, args.url.startsWith(start))",
      note: '',
    },
  },
  {
    title: 'Chats only read',
    hint: 'What comes from a chat platform may change nothing',
    rule: { decision: 'deny', tool: '*', when: "channel != '' && effect != 'read'", note: '' },
  },
  {
    title: 'Only conversations may act',
    hint: 'Schedules and sub-agents ask before they act outside',
    rule: { decision: 'ask', tool: '*', when: "effect == 'execute' && session.origin != 'chat'", note: '' },
  },
  {
    title: 'Trust the notes',
    hint: 'Notes are written without a question',
    rule: { decision: 'allow', tool: 'notes.*', when: '', note: 'The vault has its own history' },
  },
]
