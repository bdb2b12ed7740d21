import { setTimeout as sleep } from 'node:timers/promises'
import { type FetchMessageObject, ImapFlow } from 'imapflow'
import type { ChannelApi } from '../sdk/channel.ts'
import { OutputClosed } from '../sdk/stdio.ts'
import { type Mail, QUERY, readMail } from './mail.ts'
import type { Settings } from './settings.ts'

/** Servers end an IDLE after 29 minutes (RFC 2177), some much sooner; a look between them misses nothing. */
const LOOK_MS = 4 * 60_000
const MAX_PAUSE_MS = 60_000
const BATCH = 50
/** At a mail that makes trouble, until it is left out: nothing after it would ever be read. */
const TRIES = 3

const UNPROVED = 'No mail is read until "Confirmed by" is set: the name with which your mail server signs'

type Seen = { validity: string; uid: number }

/**
 * Hands over every new mail once, oldest first, and goes on where it stopped. `take` resolves when the core has the
 * mail; only then is it behind us. Runs until the signal, through every loss of the connection.
 */
export async function followMailbox(
  { api, settings, take, onState }: {
    api: ChannelApi
    settings: Settings
    take: (mail: Mail) => Promise<void>
    /** After each try to connect, and when the connection is lost; with an error when the server refuses us. */
    onState: (connected: boolean, refused?: Error) => void
  },
): Promise<void> {
  let pause = 1000
  let tries = 0
  const unproved = settings.senderCheck === 'dmarc' && settings.signer === undefined

  async function handle(client: ImapFlow, message: FetchMessageObject, mailbox: string): Promise<void> {
    try {
      await take(await readMail(client, message, { mailbox, signer: settings.signer, maxFiles: api.maxFileBytes }))
    } catch (error) {
      if (api.signal.aborted || error instanceof OutputClosed || !client.usable || ++tries < TRIES) throw error
      api.log.error(`A mail can not be read and is left out: ${(error as Error).message}`, { uid: message.uid })
    }
    tries = 0
  }

  while (!api.signal.aborted) {
    const client = connection(settings)
    const lost = new Promise<Error | undefined>((resolve) => {
      client.on('close', () => resolve(undefined))
      client.on('error', resolve)
    })
    const leave = () => client.close()
    api.signal.addEventListener('abort', leave, { once: true })
    try {
      await client.connect()
      const mailbox = await client.mailboxOpen(settings.folder, { readOnly: true })
      pause = 1000
      onState(true)
      api.status(true, { identity: settings.address, ...(unproved ? { detail: UNPROVED } : {}) })
      const validity = String(mailbox.uidValidity)
      let seen = await startFrom(api, validity, mailbox.uidNext)
      let over = false
      void lost.then(() => (over = true))
      while (!over && !api.signal.aborted) {
        const came = new Promise<void>((resolve) => client.once('exists', () => resolve()))
        for (let found = true; found;) {
          const mails = await newMails(client, seen.uid)
          found = mails.length > 0
          for (const message of mails) {
            await handle(client, message, `${settings.address}-${validity}`)
            seen = { validity, uid: message.uid }
            await api.state.set('seen', seen)
          }
        }
        const timer = new AbortController()
        await Promise.race([came, lost, sleep(LOOK_MS, undefined, { signal: timer.signal }).catch(() => {})])
        timer.abort()
      }
      throw (await Promise.race([lost, undefined])) ?? new Error('The connection was closed')
    } catch (cause) {
      if (api.signal.aborted) return
      const error = cause as Error & { authenticationFailed?: boolean; responseText?: string }
      const words = error.responseText ?? error.message
      if (error.authenticationFailed) {
        const refused = new Error(`The mail server refused the user or the password: ${words}`)
        onState(false, refused)
        return void await api.fail('unauthorized', refused.message)
      }
      onState(false)
      api.status(false, { detail: words })
      api.log.warn(`No connection to ${settings.imap.host}: ${words}`, { again_in_ms: pause })
    } finally {
      api.signal.removeEventListener('abort', leave)
      client.close()
    }
    await sleep(pause, undefined, { signal: api.signal }).catch(() => {})
    pause = Math.min(pause * 2, MAX_PAUSE_MS)
  }
}

/** At the very first start what is there already is not answered; nor when the server renumbered its mails. */
async function startFrom(api: ChannelApi, validity: string, next: number): Promise<Seen> {
  const seen = await api.state.get<Seen>('seen')
  if (seen?.validity === validity) return seen
  if (seen) api.log.warn('The mail server numbered its mails anew; what came meanwhile is not answered')
  const first = { validity, uid: next - 1 }
  await api.state.set('seen', first)
  return first
}

async function newMails(client: ImapFlow, after: number): Promise<FetchMessageObject[]> {
  const mails: FetchMessageObject[] = []
  // With a range up to `*` a server names its newest mail even when that is older.
  for await (const message of client.fetch(`${after + 1}:*`, QUERY, { uid: true })) {
    if (message.uid > after) mails.push(message)
  }
  return mails.sort((a, b) => a.uid - b.uid).slice(0, BATCH)
}

function connection({ imap, user, password }: Settings): ImapFlow {
  const client = new ImapFlow({
    host: imap.host,
    port: imap.port,
    secure: imap.tls === 'tls',
    ...(imap.tls === 'tls' ? {} : { doSTARTTLS: imap.tls === 'starttls' }),
    auth: { user, pass: password },
    logger: false,
    maxIdleTime: LOOK_MS,
  })
  return client
}
