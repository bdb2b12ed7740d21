import { type Answer, fail, reasoning, toolCall } from '../models/providers/scripted.ts'

const HOUR = 3_600_000

/** One example conversation: what was asked, and what the model did at each of its calls. */
export type Example = {
  /** Also the id of the session. */
  id: string
  title: string
  /** Milliseconds before now at which it took place. */
  ago: number
  pinned?: boolean
  questions: string[]
  answers: Answer[]
}

/** Notes of the example vault, by path. */
export const NOTES: Record<string, string> = {
  'Welcome.md': `---
tags: [start]
---
# Welcome

This folder of Markdown files is shared by you, the assistant and any editor. See [[Home server]] and [[Reading list]].
`,
  'projects/Home server.md': `---
tags: [server, backup]
---
# Home server

- Photos live in \`/srv/photos\` (412 GB), documents in \`/srv/documents\`.
- The backup disk is mounted at \`/mnt/backup\`. It holds 2 TB.
- Last restore test: **3 March**. Do it every quarter.
`,
  'projects/Garden.md': `---
tags: [garden]
---
# Garden

Tomatoes go out after the middle of May. Water in the evening, see [[2026-05-12]].
`,
  'journal/2026-05-12.md': `# 2026-05-12

Planted six tomatoes and sowed beans. #garden
`,
  'Reading list.md': `---
tags: [books]
---
# Reading list

- [x] The Mythical Man-Month
- [ ] A Philosophy of Software Design
- [ ] How Buildings Learn
`,
}

const BACKUP_ANSWER =
  `Your note says that the photos take **412 GB** and that the backup disk holds **2 TB**, so every \
file fits with room for years of history. I would keep three kinds of copies:

| Copy | How often | Kept for |
| --- | --- | --- |
| Snapshot on the disk | every hour | 2 days |
| Backup to \`/mnt/backup\` | every night | 90 days |
| Off-site | every week | 1 year |

The nightly one is a single command:

\`\`\`sh
restic -r /mnt/backup/photos backup /srv/photos --exclude-caches
restic -r /mnt/backup/photos forget --keep-daily 90 --prune
\`\`\`

The last restore test was on 3 March, so **one is due**. Shall I write the steps down as a note?`

const DEBOUNCE_ANSWER = `A debounced function runs once, when nobody has called it for a while:

\`\`\`ts
export function debounce<T extends unknown[]>(run: (...args: T) => void, ms: number) {
  let timer: ReturnType<typeof setTimeout> | undefined
  return (...args: T) => {
    clearTimeout(timer)
    timer = setTimeout(() => run(...args), ms)
  }
}
\`\`\`

1. Each call cancels the one before.
2. Only the arguments of the *last* call count.

> For a search field 150 ms feels immediate and still saves most requests.`

const RESTORE_NOTE = `# Restore test

1. Mount the backup disk.
2. Restore one folder: \`restic -r /mnt/backup/photos restore latest --target /tmp/restore\`
3. Compare it with the original, then write the date into [[Home server]].
`

const LONG_QUESTIONS = Array.from({ length: 40 }, (_, index) => `What is worth knowing about the number ${index + 1}?`)

const aboutNumber = (n: number): string => {
  const divisors = Array.from({ length: n }, (_, index) => index + 1).filter((candidate) => n % candidate === 0)
  const kind = divisors.length === 2 ? 'a prime' : n === 1 ? 'the unit' : `divisible by ${divisors.join(', ')}`
  return `**${n}** is ${kind}. Its square is ${n * n}, in binary it is \`${n.toString(2)}\`.`
}

/** The oldest first. */
export const EXAMPLES: Example[] = [
  {
    id: 'example-long',
    title: 'Forty numbers',
    ago: 9 * 24 * HOUR,
    questions: LONG_QUESTIONS,
    answers: LONG_QUESTIONS.map((_, index) => aboutNumber(index + 1)),
  },
  {
    id: 'example-code',
    title: 'Debounce in TypeScript',
    ago: 50 * HOUR,
    questions: ['Write me a debounce function in TypeScript and explain it.'],
    answers: [[
      reasoning('A generic function, a timer in a closure, and one remark on a good delay.'),
      DEBOUNCE_ANSWER,
    ]],
  },
  {
    id: 'example-failed',
    title: 'A model that refused',
    ago: 27 * HOUR,
    questions: ['What can go wrong between us?', 'Show me.'],
    answers: ['A key that expired, a limit, a network that is down.', fail('auth')],
  },
  {
    id: 'example-tools',
    title: 'What is left to read',
    ago: 5 * HOUR,
    questions: [
      'Which books on my list have I not read yet?',
      'And if I read 30 pages a day, how long do 190 pages take?',
    ],
    answers: [
      toolCall('notes.read', { note: 'Reading list' }),
      'Two are left: *A Philosophy of Software Design* and *How Buildings Learn*.',
      toolCall('math.evaluate', { expression: '190 / 30' }),
      'A little more than six days, so a week with one evening off.',
    ],
  },
  {
    id: 'example-backup',
    title: 'Backups of the photos',
    ago: HOUR / 4,
    pinned: true,
    questions: ['How should I back up the photos on my home server?', 'Yes, write them down.'],
    answers: [
      [reasoning('The vault may know the server. I look there first.'), toolCall('notes.search', { query: 'photos' })],
      BACKUP_ANSWER,
      toolCall('notes.create', { path: 'projects/Restore test.md', content: RESTORE_NOTE }),
      'Done: the steps are in `projects/Restore test.md`, linked with **Home server**.',
    ],
  },
]
