import { signerOf } from './header.ts'

/** How a connection is protected. */
export type Tls = 'tls' | 'starttls' | 'none'

/** The settings as `plugin.json` describes them. */
export type Settings = {
  address: string
  name: string
  user: string
  password: string
  imap: { host: string; port: number; tls: Tls }
  smtp: { host: string; port: number; tls: Tls }
  folder: string
  senderCheck: 'dmarc' | 'none'
  /** The name with which the receiving server says who is confirmed; undefined while nobody told it. */
  signer: string | undefined
}

/** From what the core sent; it has checked them against the schema. */
export function settingsOf(config: Record<string, unknown>, secrets: Record<string, string>): Settings {
  const text = (key: string, otherwise = ''): string =>
    typeof config[key] === 'string' && config[key] !== '' ? config[key] as string : otherwise
  const port = (key: string, otherwise: number): number =>
    typeof config[key] === 'number' ? config[key] as number : otherwise
  const address = text('address').toLowerCase()
  return {
    address,
    name: text('name'),
    user: text('user', address),
    password: secrets.password ?? '',
    imap: { host: text('imap_host'), port: port('imap_port', 993), tls: text('imap_tls', 'tls') as Tls },
    smtp: { host: text('smtp_host'), port: port('smtp_port', 465), tls: text('smtp_tls', 'tls') as Tls },
    folder: text('folder', 'INBOX'),
    senderCheck: text('sender_check', 'dmarc') as Settings['senderCheck'],
    signer: text('confirmed_by').toLowerCase() || signerOf(text('imap_host')),
  }
}
