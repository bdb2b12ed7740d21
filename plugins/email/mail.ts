import { Buffer } from 'node:buffer'
import type { FetchMessageObject, ImapFlow, MessageStructureObject } from 'imapflow'
import { field, idsIn, isAutomatic, isConfirmed, parseHeader } from './header.ts'
import { htmlToText, newText } from './text.ts'

/** A file that came with a mail. */
export type MailFile = { name: string; type: string; data: Uint8Array }

/** A mail as the channel needs it. */
export type Mail = {
  uid: number
  /** Its Message-ID without brackets; made from the mailbox where it has none. */
  id: string
  /** Address, in lower case. */
  from: string
  name: string
  subject: string
  /** Ids of the mails before it in its thread, the first one first. */
  references: string[]
  /** Without what it quotes. */
  text: string
  files: MailFile[]
  /** Names of files that were left out for their size. */
  tooLarge: string[]
  date: Date | undefined
  automatic: boolean
  confirmed: boolean
}

/** What is asked of the server for each mail. */
export const QUERY = { uid: true, envelope: true, bodyStructure: true, headers: true, internalDate: true } as const

const MAX_TEXT = 256 * 1024

/** Reads the parts of a mail that matter; throws what the connection throws. */
export async function readMail(
  client: ImapFlow,
  message: FetchMessageObject,
  { mailbox, signer, maxFiles }: {
    mailbox: string
    signer: string | undefined
    /** Bytes of all files of one mail together, for they are held until its sender is known to be let in. */
    maxFiles: number
  },
): Promise<Mail> {
  const header = parseHeader(new TextDecoder().decode(message.headers ?? new Uint8Array()))
  const { envelope } = message
  const sender = envelope?.from?.[0]
  const from = (sender?.address ?? '').trim().toLowerCase()
  const parts = message.bodyStructure ? leaves(message.bodyStructure) : []
  const body = parts.find((part) => isBody(part, 'text/plain')) ?? parts.find((part) => isBody(part, 'text/html'))
  const raw = body ? new TextDecoder().decode(await download(client, message.uid, body, MAX_TEXT)) : ''
  const files: MailFile[] = []
  const tooLarge: string[] = []
  let room = maxFiles
  for (const part of parts.filter((part) => part !== body && isFile(part))) {
    const name = nameOf(part)
    const data = (part.size ?? 0) > room * 1.4 ? undefined : await download(client, message.uid, part, room + 1)
    if (data && data.length <= room) {
      files.push({ name, type: part.type, data })
      room -= data.length
    } else tooLarge.push(name)
  }
  const before = [...idsIn(field(header, 'references')), ...idsIn(field(header, 'in-reply-to'))]
  return {
    uid: message.uid,
    id: idsIn(field(header, 'message-id'))[0] ?? `${mailbox}-${message.uid}@mailbox.invalid`,
    from,
    name: sender?.name ?? '',
    subject: envelope?.subject ?? '',
    references: [...new Set(before)],
    text: newText(body?.type === 'text/html' ? htmlToText(raw) : raw),
    files,
    tooLarge,
    date: dateOf(envelope?.date),
    automatic: isAutomatic(header, from),
    confirmed: isConfirmed(header, from, signer),
  }
}

/** Undefined for what the sender's program made no date of. */
function dateOf(given: Date | string | undefined): Date | undefined {
  const date = new Date(given ?? NaN)
  return date.getFullYear() >= 0 && date.getFullYear() <= 9999 ? date : undefined
}

function leaves(part: MessageStructureObject): MessageStructureObject[] {
  return part.childNodes && part.childNodes.length > 0 ? part.childNodes.flatMap(leaves) : [part]
}

const isBody = (part: MessageStructureObject, type: string): boolean =>
  part.type === type && part.disposition !== 'attachment'

/** Pictures that the HTML shows inline are files too; a second body in another format is not. */
const isFile = (part: MessageStructureObject): boolean =>
  part.disposition === 'attachment' || !/^(text|multipart|message)\//.test(part.type)

function nameOf(part: MessageStructureObject): string {
  const name = part.dispositionParameters?.filename ?? part.parameters?.name ?? ''
  return name.replace(/[/\\\0]/g, '_').slice(0, 200) || `file.${part.type.split('/').at(-1)}`
}

/** The decoded content of a part, text as UTF-8; cut after `max` bytes. */
async function download(client: ImapFlow, uid: number, part: MessageStructureObject, max: number): Promise<Uint8Array> {
  const { content } = await client.download(String(uid), part.part ?? '1', { uid: true, maxBytes: max })
  const chunks: Uint8Array[] = []
  for await (const chunk of content) chunks.push(chunk as Uint8Array)
  return new Uint8Array(Buffer.concat(chunks))
}
