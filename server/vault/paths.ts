import { invalid } from '../errors.ts'

/** Folders of other programs; everything else that begins with a dot is skipped too, as Obsidian does. */
const SKIPPED = new Set(['node_modules', '__pycache__', '_showcase'])

/** Whether a folder or file of this name is no part of the vault. */
export const isSkipped = (name: string): boolean => name.startsWith('.') || SKIPPED.has(name)

// Refused on every system, so that a vault can be copied or synchronised to Windows and phones.
const FORBIDDEN = /[\p{Cc}<>:"|?*\\]/u
const DEVICE_NAME = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i

/**
 * The path of a note inside the vault, with `/` and `.md`, in Unicode's composed form.
 * Throws `invalid_input` for anything that could leave the vault or reach a skipped folder.
 */
export function notePath(path: string): string {
  const clean = path.normalize('NFC').trim()
  if (clean === '') throw invalid('path', 'must not be empty')
  if (clean.length > 1000) throw invalid('path', 'must have at most 1,000 characters')
  const named = /\.md$/i.test(clean) ? clean : `${clean}.md`
  for (const part of named.split('/')) checkPart(part)
  return named
}

function checkPart(part: string): void {
  if (part === '' || part === '.' || part === '..') {
    throw invalid('path', 'must be relative to the vault, such as projects/garden.md, without empty parts, "." or ".."')
  }
  if (FORBIDDEN.test(part)) throw invalid('path', 'must not contain \\ < > : " | ? * or control characters')
  if (isSkipped(part)) throw invalid('path', `must not be in "${part}", which is no part of the vault`)
  if (/[. ]$/.test(part) || part.startsWith(' ') || DEVICE_NAME.test(part)) {
    throw invalid('path', `"${part}" is not a usable name; remove spaces and dots at its ends`)
  }
  if (new TextEncoder().encode(part).length > 240) throw invalid('path', 'a name is longer than 240 bytes')
}

/** A file name made of a title: `A/B: c?` becomes `A B c.md`. */
export function pathOfTitle(title: string): string {
  const name = title
    .normalize('NFC')
    .replace(/[\p{Cc}<>:"|?*\\/#^[\]]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .replace(/^[. ]+|[. ]+$/g, '')
  const short = [...name].slice(0, 80).join('').trim()
  if (short === '') throw invalid('title', 'has no letter that a file name can hold')
  return notePath(DEVICE_NAME.test(short) || isSkipped(short) ? `Note ${short}` : short)
}

/** The file's name without folder and `.md`. */
export const stemOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1).replace(/\.md$/i, '')
