/** The header of a mail: each field in order, unfolded, names in lower case. */
export function parseHeader(raw: string): [name: string, value: string][] {
  const fields: [string, string][] = []
  for (const line of raw.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0) fields.push([line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()])
  }
  return fields
}

/** Message ids in a field such as `References`, without their brackets. */
export const idsIn = (value: string): string[] => [...value.matchAll(/<([^<>\s]{1,900})>/g)].map(([, id]) => id!)

type Header = ReturnType<typeof parseHeader>

/** The first field of a name. */
export const field = (header: Header, name: string): string => header.find(([key]) => key === name)?.[1] ?? ''

/**
 * Whether a program sent it: answers to those end in two machines that write to each other for ever (RFC 3834 §2).
 * Lists are left out too, for an answer would go to people who never wrote.
 */
export function isAutomatic(header: Header, from: string): boolean {
  const auto = field(header, 'auto-submitted').toLowerCase()
  if (auto !== '' && !auto.startsWith('no')) return true
  if (/^(bulk|list|junk|auto_reply)/i.test(field(header, 'precedence'))) return true
  if (header.some(([name]) => name === 'list-id' || name === 'x-auto-response-suppress')) return true
  return /^(mailer-daemon|postmaster|no-?reply|do-?not-?reply)@/i.test(from)
}

/**
 * Whether the receiving server found the sender's domain confirmed. `server` is the name that it signs with; anybody may
 * send such a result along under any name, and what a server adds stands above what came with the mail (RFC 8601 §5).
 */
export function isConfirmed(header: Header, from: string, server: string | undefined): boolean {
  if (server === undefined || header.filter(([name]) => name === 'from').length !== 1) return false
  const given = header.find(([name, value]) => name === 'authentication-results' && isBy(server, value))?.[1] ?? ''
  // Comments and quoted words hold what the sender chose.
  const plain = withoutComments(given.toLowerCase().replace(/"(?:[^"\\]|\\.)*"/g, '""'))
  const result = plain.split(';').find((part) => /^\s*dmarc\s*=/.test(part)) ?? ''
  if (!/^\s*dmarc\s*=\s*pass\b/.test(result)) return false
  const domain = from.slice(from.lastIndexOf('@') + 1)
  const named = /\sheader\.from\s*=\s*([^\s;"]+)/.exec(result)?.[1]
  return named === undefined || named.slice(named.lastIndexOf('@') + 1) === domain
}

/** They may be nested; one that is not closed takes the rest with it. */
function withoutComments(text: string): string {
  let depth = 0
  return [...text].filter((char) => {
    if (char === '(') depth++
    const outside = depth === 0
    if (char === ')' && depth > 0) depth--
    return outside
  }).join('')
}

/** `*.example.org` stands for all names below; an empty name for a server that gives none. */
function isBy(server: string, result: string): boolean {
  const first = /^[^\s;]*/.exec(result.toLowerCase())![0]
  if (server === '') return first.includes('=')
  return server.startsWith('*.') ? first.endsWith(server.slice(1)) : first === server
}

/** How large providers sign, by the ends of their IMAP servers' names. All of them add a result to each mail. */
const SIGNERS: [host: RegExp, signer: string][] = [
  [/(^|\.)(gmail|googlemail)\.com$/, 'mx.google.com'],
  [/(^|\.)(outlook|office365|hotmail)\.com$/, ''],
  [/(^|\.)mail\.me\.com$/, 'dmarc.icloud.com'],
  [/(^|\.)(mail\.yahoo|aol)\.com$/, '*.yahoo.com'],
  [/(^|\.)(fastmail|messagingengine)\.com$/, '*.messagingengine.com'],
]

/** The name with which the provider of an IMAP server signs its results; undefined where that is not known. */
export const signerOf = (imapHost: string): string | undefined =>
  SIGNERS.find(([host]) => host.test(imapHost.toLowerCase()))?.[1]
