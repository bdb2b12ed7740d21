import { CHANNEL_DEFAULTS, type Disposition } from '../../../../shared/channels.ts'
import type { ChannelSection } from '../../lib/api/channels.ts'

/** Lists are edited as lines, people with their disposition as rows. */
export type Draft = {
  values: Record<string, string | boolean>
  dispositions: { id: string; disposition: Disposition }[]
}

export type Kind = 'lines' | 'number' | 'bytes' | 'model' | 'flag' | 'choice'

export type SettingOf = {
  name: string
  kind: Kind
  labels?: Record<string, string>
  /** In place of what its schema says, which names values that the form does not show. */
  hint?: string
  /** What holds without it, where that is not told by a default. */
  usual?: string
}

/** The settings of a channel in the order of the form. */
export const GROUPS: { title: string; fields: SettingOf[] }[] = [
  {
    title: 'People',
    fields: [
      { name: 'allowed_users', kind: 'lines' },
      { name: 'pairing', kind: 'flag' },
      { name: 'approvers', kind: 'lines' },
    ],
  },
  {
    title: 'Groups',
    fields: [
      { name: 'allowed_groups', kind: 'lines' },
      {
        name: 'activation',
        kind: 'choice',
        labels: { mention: 'What is addressed to it', always: 'Everything' },
        hint: '',
      },
      {
        name: 'group_disposition',
        kind: 'choice',
        labels: { allow: 'Answered', passive: 'Context only', silent: 'Recorded only', block: 'Dropped' },
      },
      { name: 'context_messages', kind: 'number' },
      { name: 'context_hours', kind: 'number' },
    ],
  },
  {
    title: 'Answers',
    fields: [
      {
        name: 'model',
        kind: 'model',
        usual: 'The default model',
        hint: 'Whoever chooses another with /model keeps that',
      },
      {
        name: 'queue_policy',
        kind: 'choice',
        labels: { fifo: 'Answered afterwards', merge: 'Joined to one', interrupt: 'Interrupts' },
        usual: 'As in any conversation',
      },
      { name: 'burst_ms', kind: 'number' },
      { name: 'streaming', kind: 'flag' },
      {
        name: 'ack_reaction',
        kind: 'choice',
        labels: { off: 'None', working: 'While it works, and when it failed', all: 'Also when it is done' },
        hint: 'A sign below what people write, where the platform has them',
      },
    ],
  },
  {
    title: 'Limits',
    fields: [
      { name: 'text_limit', kind: 'number' },
      {
        name: 'text_unit',
        kind: 'choice',
        labels: { utf16: 'UTF-16 units', chars: 'Characters', bytes: 'Bytes' },
        usual: 'What the platform counts',
      },
      { name: 'max_media_bytes', kind: 'bytes' },
    ],
  },
]

const FIELDS = GROUPS.flatMap(({ fields }) => fields)
const NUMBERS: Kind[] = ['number', 'bytes']

const USUAL: Record<string, unknown> = CHANNEL_DEFAULTS

/** What holds where nothing is written; empty for what the platform decides. */
export const usualOf = (name: string): string => USUAL[name] === undefined ? '' : String(USUAL[name])

/** What is written, as the form shows it; what is left out is empty. */
export function draftOf(section: ChannelSection): Draft {
  const values = FIELDS.map(({ name, kind }): [string, string | boolean] => {
    const value = section[name]
    if (kind === 'flag') return [name, value !== false]
    if (kind === 'lines') return [name, Array.isArray(value) ? value.join('\n') : '']
    return [name, value === undefined || value === null ? '' : String(value)]
  })
  const single = (section.dispositions ?? {}) as Record<string, Disposition>
  return {
    values: Object.fromEntries(values),
    dispositions: Object.entries(single).map(([id, disposition]) => ({ id, disposition })),
  }
}

/** What to write: keys that the form does not know stay, what is empty is left out. */
export function sectionOf({ values, dispositions }: Draft, before: ChannelSection): ChannelSection {
  const next: ChannelSection = { ...before }
  for (const { name, kind } of FIELDS) {
    const value = entered(kind, values[name]!)
    // A key that was never written is not written for its default's sake.
    const asBefore = before[name] === undefined && kind === 'flag' && value === true
    if (value === undefined || asBefore) delete next[name]
    else next[name] = value
  }
  const single = dispositions.filter(({ id }) => id.trim() !== '').map((
    { id, disposition },
  ) => [id.trim(), disposition])
  if (single.length > 0) next.dispositions = Object.fromEntries(single)
  else delete next.dispositions
  return next
}

/** What is no number is sent as it is, and refused with a word about it. */
function entered(kind: Kind, value: string | boolean): unknown {
  if (typeof value === 'boolean') return value
  const text = value.trim()
  if (text === '') return undefined
  if (kind === 'lines') return text.split(/[\n,]/).map((line) => line.trim()).filter(Boolean)
  if (!NUMBERS.includes(kind)) return text
  const number = Number(text.replaceAll(/[\s_]/g, ''))
  return Number.isFinite(number) ? number : text
}
