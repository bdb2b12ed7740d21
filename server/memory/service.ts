import type { Note } from '../../shared/vault.ts'
import type { Caller } from '../auth/principal.ts'
import { AppError, invalid } from '../errors.ts'
import type { Vault } from '../vault/service.ts'

/** Folder of the vault; each handle but the owner's has one of its own below it. */
const FOLDER = 'memory'
const DEFAULT_TOPIC = 'General'
/** Characters; a note that grows beyond is asked to be split. */
const MAX_MEMORY = 200_000
const TRIES = 3

/** One thing that was remembered. */
export type Memory = { topic: string; note: string; text: string }

export type Memories = ReturnType<typeof createMemories>

/** What the agent keeps in mind between conversations: one line each, in notes that its owner can read and edit. */
export function createMemories({ vault, now = () => new Date() }: { vault: Vault; now?: () => Date }) {
  const folderOf = ({ handle }: Caller): string =>
    // A handle is a name for a folder as it is, but for a dot at its end. Two must never come to one folder.
    handle === 'owner' ? FOLDER : `${FOLDER}/of ${handle.replace(/\.$/, '%2e')}`

  const pathOf = (caller: Caller, topic: string): string => {
    const name = topic.replace(/[\p{Cc}<>:"|?*\\/#^[\]]+/gu, ' ').replace(/\s+/g, ' ').replace(/^[. ]+|[. ]+$/g, '')
    if (name === '') throw invalid('topic', 'has no letter that a file name can hold')
    return `${folderOf(caller)}/${name}.md`
  }

  /** Notes of the caller's memory; those of others are not below its folder. */
  async function notes(caller: Caller): Promise<Note[]> {
    const folder = `${folderOf(caller)}/`
    const rows = (await vault.list()).filter(({ path }) =>
      path.startsWith(folder) && !path.slice(folder.length).includes('/')
    )
    const found = await Promise.all(rows.map(({ path }) => open(path)))
    return found.filter((note) => note !== undefined)
  }

  async function open(path: string): Promise<Note | undefined> {
    try {
      const note = await vault.read(path)
      // A name that comes near must not stand for the one that is missing.
      return note.path.toLowerCase() === path.toLowerCase() ? note : undefined
    } catch (error) {
      if (error instanceof AppError && error.code === 'not_found') return undefined
      throw error
    }
  }

  /** Again when somebody wrote in between. */
  async function retrying<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (attempt === TRIES || !(error instanceof AppError && error.code === 'conflict')) throw error
      }
    }
  }

  return {
    /** Adds a line to the note of a topic; one that is there already is not added again. */
    remember: (caller: Caller, text: string, topic = DEFAULT_TOPIC): Promise<Memory & { known: boolean }> =>
      retrying(async () => {
        const line = text.replace(/\s+/g, ' ').trim()
        const path = pathOf(caller, topic)
        const note = await open(path)
        const saved = { topic: note?.title ?? topic, note: note?.path ?? path, text: line }
        if (note && itemsOf(note).some((item) => fold(item) === fold(line))) return { ...saved, known: true }
        if (note && note.content.length + line.length > MAX_MEMORY) {
          throw new AppError('too_large', `The memory of "${saved.topic}" is full; choose a narrower topic`)
        }
        const item = `- ${line} (${now().toISOString().slice(0, 10)})\n`
        if (note) {
          const gap = note.content.endsWith('\n') ? '' : '\n'
          await vault.create(caller, { path: note.path, content: `${note.content}${gap}${item}`, hash: note.hash })
        } else await vault.create(caller, { path, title: topic, content: item, tags: ['memory'] })
        return { ...saved, known: false }
      }),

    /** Lines that have the words, most of them first; without words the newest of each topic. */
    async recall(caller: Caller, query: string, limit: number): Promise<Memory[]> {
      const words = fold(query).match(/[\p{L}\p{N}]+/gu) ?? []
      const found = (await notes(caller)).flatMap((note) =>
        itemsOf(note).reverse().map((text) => ({
          memory: { topic: note.title, note: note.path, text },
          hits: words.filter((word) => fold(`${note.title} ${text}`).includes(stem(word))).length,
        }))
      )
      const fitting = words.length === 0 ? found : found.filter(({ hits }) => hits > 0)
      return fitting.sort((a, b) => b.hits - a.hits).slice(0, limit).map(({ memory }) => memory)
    },

    /** Removes the one line that has this text. Throws `not_found`, and `conflict` when several have it. */
    forget: (caller: Caller, text: string): Promise<Memory> =>
      retrying(async () => {
        const wanted = fold(text.trim())
        const all = (await notes(caller)).flatMap((note) => itemsOf(note).map((item) => ({ note, item })))
        const exact = all.filter(({ item }) => fold(item) === wanted)
        const found = exact.length > 0 ? exact : all.filter(({ item }) => fold(item).includes(wanted))
        if (found.length === 0) throw new AppError('not_found', `Nothing that is remembered has the text "${text}"`)
        if (found.length > 1) {
          const some = found.slice(0, 5).map(({ item }) => `"${item}"`).join(', ')
          throw new AppError(
            'unprocessable',
            `${found.length} memories have this text; give one of them whole: ${some}`,
          )
        }
        const { note, item } = found[0]!
        const lines = note.content.split('\n')
        lines.splice(lines.findIndex((line) => itemOf(line) === item), 1)
        await vault.create(caller, { path: note.path, content: lines.join('\n'), hash: note.hash })
        return { topic: note.title, note: note.path, text: item }
      }),
  }
}

const itemsOf = (note: Note): string[] =>
  note.content.split('\n').map(itemOf).filter((item): item is string => item !== undefined)

/** What a line of a list says, without the date that stands behind it. */
const itemOf = (line: string): string | undefined =>
  /^[-*] (.*)$/.exec(line.trim())?.[1]?.replace(/ \(\d{4}-\d\d-\d\d\)$/, '')

const fold = (text: string): string => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()

/** Enough for plurals: "dogs" finds "dog". */
const stem = (word: string): string => word.length > 3 ? word.replace(/s$/, '') : word
