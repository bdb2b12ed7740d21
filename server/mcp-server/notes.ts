import type { ListResourcesResult, ReadResourceResult, ResourceTemplate } from '@modelcontextprotocol/sdk/types.js'
import type { NoteRow } from '../../shared/vault.ts'
import { AppError, invalid } from '../errors.ts'
import type { Vault } from '../vault/service.ts'

const PAGE = 200
const SCHEME = 'note:///'
const MARKDOWN = 'text/markdown'
/** The protocol's number for a resource that is not there. */
const RESOURCE_NOT_FOUND = -32002

/** The address of a note: its path, with what no address may hold encoded. */
export const noteUri = (path: string): string => SCHEME + path.split('/').map(encodeURIComponent).join('/')

/** The path in such an address; two slashes are read as three. Throws `invalid_input` for other addresses. */
export function notePathOf(uri: string): string {
  const [, path] = /^note:\/\/\/?(.+)$/.exec(uri) ?? []
  if (!path) throw invalid('uri', `must look like ${SCHEME}folder/name.md`)
  try {
    return decodeURIComponent(path)
  } catch {
    throw invalid('uri', 'has a % that begins no character; write it as %25')
  }
}

/** The notes of the vault as resources. */
export const createNoteResources = (vault: Vault) => ({
  templates: [{
    name: 'note',
    title: 'Note',
    uriTemplate: `${SCHEME}{+path}`,
    description: 'A Markdown note by its path in the vault, or by its title',
    mimeType: MARKDOWN,
  }] satisfies ResourceTemplate[],

  /** In the order of their paths, so that a cursor holds when notes come and go. */
  async list(cursor: string | undefined): Promise<ListResourcesResult> {
    const after = cursor === undefined ? '' : pathOfCursor(cursor)
    const notes = (await vault.list()).filter((note) => note.path > after).sort((a, b) => (a.path < b.path ? -1 : 1))
    const page = notes.slice(0, PAGE)
    return {
      resources: page.map(resourceOf),
      ...(notes.length > PAGE ? { nextCursor: Buffer.from(page.at(-1)!.path).toString('base64url') } : {}),
    }
  },

  async read(uri: string): Promise<ReadResourceResult> {
    const note = await vault.read(notePathOf(uri)).catch((error: unknown) => {
      if (!(error instanceof AppError && error.code === 'not_found')) throw error
      throw Object.assign(new Error(error.message), { code: RESOURCE_NOT_FOUND, data: { uri } })
    })
    return { contents: [{ uri, mimeType: MARKDOWN, text: note.content }] }
  },

  /** Paths that go on from what was typed, then those that hold it. */
  async complete(typed: string): Promise<string[]> {
    const wanted = typed.toLowerCase()
    const paths = (await vault.list()).map((note) => note.path).sort()
    const begin = paths.filter((path) => path.toLowerCase().startsWith(wanted))
    return [...begin, ...paths.filter((path) => !begin.includes(path) && path.toLowerCase().includes(wanted))]
  },
})

const resourceOf = ({ path, title, tags, modified, size }: NoteRow) => ({
  uri: noteUri(path),
  name: path,
  title,
  mimeType: MARKDOWN,
  size,
  annotations: { lastModified: new Date(modified * 1000).toISOString() },
  ...(tags.length > 0 ? { description: tags.map((tag) => `#${tag}`).join(' ') } : {}),
})

function pathOfCursor(cursor: string): string {
  const path = Buffer.from(cursor, 'base64url').toString('utf8')
  if (path === '' || Buffer.from(path).toString('base64url') !== cursor) {
    throw invalid('cursor', 'is not one that this server gave; begin without a cursor')
  }
  return path
}
