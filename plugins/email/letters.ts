import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { createTransport } from 'nodemailer'
import type { ChannelApi, OutgoingMedia, OutgoingText } from '../sdk/channel.ts'
import { PluginError } from '../sdk/errors.ts'
import { renderMarkdown } from '../sdk/markdown.ts'
import type { Mail } from './mail.ts'
import type { Settings } from './settings.ts'

/** What a later mail of a thread needs to know of those before it. */
type Thread = { subject: string; references: string[]; at: number }
type Letter = { to: string; thread: string | undefined; id: string; replyTo: string | undefined; text: string }

const KEPT_MS = 90 * 24 * 3_600_000
const REFERENCES = 30

/** Sends answers, each in its thread. */
export function createLetters(api: ChannelApi, settings: Settings) {
  const { smtp } = settings
  const transport = createTransport({
    host: smtp.host,
    port: smtp.port,
    secure: smtp.tls === 'tls',
    ...(smtp.tls === 'starttls' ? { requireTLS: true } : {}),
    ...(smtp.tls === 'none' ? { ignoreTLS: true } : {}),
    ...(settings.password ? { auth: { user: settings.user, pass: settings.password } } : {}),
    connectionTimeout: 20_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const domain = settings.address.split('@')[1]

  async function write(letter: Letter, files: { filename: string; content: Buffer; contentType: string }[] = []) {
    const known = letter.thread ? await api.state.get<Thread>(keyOf(letter.to, letter.thread)) : undefined
    const references = known?.references ?? (letter.replyTo ? [letter.replyTo] : [])
    const subject = known?.subject ?? ''
    try {
      await transport.sendMail({
        from: { name: settings.name, address: settings.address },
        to: { name: '', address: letter.to },
        subject: subject === '' ? `Message from ${settings.name || settings.address}` : reply(subject),
        messageId: `<${letter.id}>`,
        ...(references.length > 0
          ? {
            inReplyTo: `<${letter.replyTo ?? references.at(-1)}>`,
            references: references.map((id) => `<${id}>`),
          }
          : {}),
        // So that no other program answers it (RFC 3834 §5).
        headers: { 'Auto-Submitted': 'auto-replied' },
        text: letter.text,
        html: htmlOf(letter.text),
        attachments: files,
      })
    } catch (error) {
      throw refusal(error)
    }
    if (letter.thread && known) await remember(letter.to, letter.thread, known.subject, [...references, letter.id])
    return letter.id
  }

  async function remember(from: string, thread: string, subject: string, references: string[]): Promise<void> {
    const kept = references.length > REFERENCES ? [references[0]!, ...references.slice(1 - REFERENCES)] : references
    const known = { subject, references: kept, at: Date.now() } satisfies Thread
    try {
      await api.state.set(keyOf(from, thread), known)
    } catch (error) {
      if (!(error instanceof PluginError) || error.code !== 'too_many') throw error
      // Anybody may write, and each begins a thread: the oldest give way.
      await forget((threads) => threads.slice(0, Math.ceil(threads.length / 2)))
      await api.state.set(keyOf(from, thread), known)
    }
  }

  /** Forgets some of a sixteenth of all threads, the oldest first; all of them at once would be too much talk. */
  async function forget(which: (threads: { key: string; at: number }[]) => { key: string }[]): Promise<void> {
    const threads: { key: string; at: number }[] = []
    for (const key of await api.state.list(`thread:${Math.floor(Math.random() * 16).toString(16)}`)) {
      threads.push({ key, at: (await api.state.get<Thread>(key))?.at ?? 0 })
    }
    for (const { key } of which(threads.sort((a, b) => a.at - b.at))) await api.state.delete(key)
  }

  // The same request again is the same mail: its receiver sees one.
  const idOf = (requestId: string): string => `${requestId.toLowerCase()}@${domain}`

  return {
    /** What came in, so that answers find their thread. */
    received: (mail: Mail, thread: string): Promise<void> =>
      remember(mail.from, thread, mail.subject, [...new Set([...mail.references, mail.id])]),

    send: (message: OutgoingText): Promise<string> =>
      write({
        to: message.chat_id,
        thread: message.thread_id,
        id: idOf(message.request_id),
        replyTo: message.reply_to,
        text: message.content,
      }),

    media({ chat_id, thread_id, request_id, media, bytes, caption }: OutgoingMedia): Promise<string> {
      const letter = { to: chat_id, thread: thread_id, id: idOf(request_id), replyTo: undefined }
      if (bytes === undefined) return write({ ...letter, text: [caption, media.url].filter(Boolean).join('\n\n') })
      const file = {
        filename: media.filename ?? 'file',
        content: Buffer.from(bytes),
        contentType: media.mime_type,
      }
      return write({ ...letter, text: caption ?? '' }, [file])
    },

    /** Forgets threads in which nothing was said for long. */
    tidy: (): Promise<void> => forget((threads) => threads.filter(({ at }) => at < Date.now() - KEPT_MS)),

    /** Throws `PluginError` when the server refuses us. */
    async check(): Promise<void> {
      try {
        await transport.verify()
      } catch (error) {
        throw refusal(error)
      }
    },

    close: (): void => transport.close(),
  }
}

const keyOf = (address: string, thread: string): string =>
  `thread:${createHash('sha256').update(`${address}\n${thread}`).digest('hex').slice(0, 32)}`

const reply = (subject: string): string => /^(re|aw|sv|rv|antw)\s*:/i.test(subject) ? subject : `Re: ${subject}`

/** The SMTP reply says whether it is worth another try (RFC 5321 §4.2.1). */
function refusal(error: unknown): PluginError {
  const { code, responseCode, message } = error as Error & { code?: string; responseCode?: number }
  if (code === 'EAUTH') return new PluginError('unauthorized', `The mail server refused the password: ${message}`)
  if (responseCode === 550 || responseCode === 551 || responseCode === 553) {
    return new PluginError('chat_not_found', message, { cause: error })
  }
  if (responseCode !== undefined && responseCode >= 500) {
    return new PluginError('invalid_request', message, { cause: error })
  }
  if (responseCode !== undefined) {
    return new PluginError('rate_limited', message, { retryAfterMs: 60_000, cause: error })
  }
  return new PluginError('not_connected', message, { cause: error })
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string => text.replace(/[&<>"]/g, (char) => ESCAPES[char]!)

const htmlOf = (markdown: string): string =>
  `<div style="white-space:pre-wrap">${
    renderMarkdown(markdown, {
      text: escaped,
      bold: (inner) => `<b>${inner}</b>`,
      italic: (inner) => `<i>${inner}</i>`,
      strike: (inner) => `<s>${inner}</s>`,
      code: (plain) => `<code>${escaped(plain)}</code>`,
      fence: (plain) => `<pre>${escaped(plain)}</pre>`,
      link: (inner, href) => /^(https?|mailto):/i.test(href) ? `<a href="${escaped(href)}">${inner}</a>` : inner,
      quote: (inner) => `<blockquote>${inner}</blockquote>`,
    })
  }</div>`
