import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { createServer } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { after, afterEach, before, describe, it } from 'node:test'
// @ts-types="./hoodiecrow.d.ts"
import hoodiecrow, { type ImapServer } from 'hoodiecrow-imap'
import { SMTPServer } from 'smtp-server'
import { type Probe, startProbe } from '../../server/plugins/conformance/probe.ts'
import { currentRuntime } from '../../server/runtime/current.ts'
import { faultsOf } from '../../test/support/channel-plugin.ts'
import { field, idsIn, isAutomatic, isConfirmed, parseHeader, signerOf } from './header.ts'
import { htmlToText, newText } from './text.ts'

const RUN = process.versions.deno ? ['run', '-A', '--no-check', '--no-prompt'] : []
const VERIFIED = 'Authentication-Results: mx.example.org; dmarc=pass header.from=example.org'

/** A mail as it comes over the wire. */
const mail = (fields: Record<string, string>, body: string, more: string[] = [VERIFIED]): string =>
  [
    ...more,
    ...Object.entries({
      'From': 'Ada Lovelace <ada@example.org>',
      'To': 'agent@example.com',
      'Date': 'Sun, 22 Nov 2026 10:00:00 +0000',
      'Content-Type': 'text/plain; charset=utf-8',
      ...fields,
    }).map(([name, value]) => `${name}: ${value}`),
    '',
    body,
  ].join('\r\n')

describe('e-mail', () => {
  let imap: ImapServer
  let smtp: SMTPServer
  let imapPort: number
  let smtpPort: number
  const sent: { to: string[]; raw: string }[] = []
  let refuse: Error & { responseCode?: number } | undefined
  let probe: Probe | undefined
  const waiters = new Set<() => void>()

  before(async () => {
    imapPort = await freePort()
    imap = hoodiecrow({
      plugins: ['IDLE', 'ID', 'ENABLE', 'SASL-IR', 'AUTH-PLAIN', 'UIDPLUS', 'LITERALPLUS'],
      storage: { INBOX: {} },
    })
    await new Promise<void>((resolve) => imap.listen(imapPort, resolve))
    imap.appendMessage(
      'INBOX',
      [],
      false,
      mail({ 'Message-ID': '<old@x>', 'Subject': 'Old' }, 'from before the first start'),
    )
    smtp = new SMTPServer({
      disabledCommands: ['STARTTLS'],
      allowInsecureAuth: true,
      onAuth: (auth, _session, done) =>
        auth.password === 'testpass' ? done(null, { user: 'x' }) : done(new Error('no')),
      onRcptTo: (_address, _session, done) => done(refuse),
      onData(stream, session, done) {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          sent.push({
            to: session.envelope.rcptTo.map(({ address }) => address),
            raw: Buffer.concat(chunks).toString(),
          })
          for (const wake of waiters) wake()
          done()
        })
      },
    })
    smtpPort = await freePort()
    await new Promise<void>((resolve) => smtp.listen(smtpPort, '127.0.0.1', () => resolve()))
  })

  afterEach(async () => {
    await probe?.kill()
    probe = undefined
    refuse = undefined
  })
  after(async () => {
    await new Promise<void>((resolve) => smtp.close(() => resolve()))
    imap.close()
  })

  const settings = () => ({
    address: 'agent@example.com',
    name: 'The agent',
    user: 'testuser',
    imap_host: '127.0.0.1',
    imap_port: imapPort,
    imap_tls: 'none',
    smtp_host: '127.0.0.1',
    smtp_port: smtpPort,
    smtp_tls: 'none',
    confirmed_by: 'mx.example.org',
  })

  async function start(
    config: object = {},
    { secrets = { password: 'testpass' }, state = new Map<string, unknown>() } = {},
  ): Promise<Probe> {
    probe = await startProbe({
      runtime: await currentRuntime(),
      command: process.execPath,
      args: [...RUN, join(import.meta.dirname, 'main.ts')],
      env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
      configure: {
        type: 'configure',
        protocol: 'gatehouse.v1',
        plugin: { id: 'email', name: 'E-mail', version: '1.0.0' },
        config: { ...settings(), ...config },
        secrets,
        data_dir: null,
      },
      state,
    })
    return probe
  }

  const arrive = (raw: string): unknown => imap.appendMessage('INBOX', [], false, raw)

  it('says who it is, reads what comes from then on, and answers in the thread', async () => {
    const plugin = await start()
    assert.ok(await plugin.event('ready'), plugin.stderr())
    assert.deepEqual(await plugin.event('status'), { type: 'status', connected: true, identity: 'agent@example.com' })
    arrive(
      mail(
        { 'Message-ID': '<one@example.org>', 'Subject': '=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=' },
        'Is the build green?\r\n\r\n-- \r\nAda',
      ),
    )
    const message = await plugin.event('message_received')
    assert.deepEqual(message, {
      type: 'message_received',
      message_id: 'one@example.org',
      chat_id: 'ada@example.org',
      sender: { id: 'ada@example.org', username: 'ada@example.org', display_name: 'Ada Lovelace' },
      content: { type: 'text', text: 'Subject: Grüße\n\nIs the build green?' },
      routing: {
        channel: 'email',
        chat_type: 'dm',
        chat_id: 'ada@example.org',
        sender_id: 'ada@example.org',
        thread_id: 'one@example.org',
      },
      mentions_bot: false,
      reply_to_bot: false,
      timestamp: '2026-11-22T10:00:00.000Z',
    })
    const answer = await plugin.ask({
      type: 'send_message',
      request_id: '01KHW3Q7M8ZB4T5R6Y7A8C9D0E',
      chat_id: 'ada@example.org',
      thread_id: 'one@example.org',
      reply_to: 'one@example.org',
      content: 'It is **green** <really>.',
    })
    assert.deepEqual(answer, {
      type: 'command_ok',
      request_id: '01KHW3Q7M8ZB4T5R6Y7A8C9D0E',
      message_id: '01khw3q7m8zb4t5r6y7a8c9d0e@example.com',
    })
    const { to, raw } = sent.at(-1)!
    const header = parseHeader(raw.split('\r\n\r\n')[0]!)
    assert.deepEqual(to, ['ada@example.org'])
    assert.equal(field(header, 'message-id'), '<01khw3q7m8zb4t5r6y7a8c9d0e@example.com>')
    assert.deepEqual(idsIn(field(header, 'in-reply-to')), ['one@example.org'])
    assert.deepEqual(idsIn(field(header, 'references')), ['one@example.org'])
    assert.equal(field(header, 'auto-submitted'), 'auto-replied')
    assert.equal(field(header, 'subject'), '=?UTF-8?Q?Re=3A_Gr=C3=BC=C3=9Fe?=')
    assert.match(raw, /<b>green<\/b> &lt;really&gt;/)
    assert.ok(!plugin.events.some((event) => event.type === 'message_received' && event.message_id === 'old@x'))
  })

  it('takes up after a stop what came meanwhile, once', async () => {
    const state = new Map<string, unknown>()
    const first = await start({}, { state })
    await first.event('status')
    arrive(mail({ 'Message-ID': '<two@example.org>', 'Subject': 'Two' }, 'two'))
    await first.event('message_received')
    await first.event('state_set', ({ key, value }) => key === 'seen' && (value as { uid: number }).uid === 3)
    await first.kill()
    arrive(mail({ 'Message-ID': '<three@example.org>', 'Subject': 'Three' }, 'three'))
    const second = await start({}, { state })
    const message = await second.event('message_received')
    assert.equal(message?.message_id, 'three@example.org')
  })

  it('does not believe a sender whom the receiving server did not confirm, and answers no machines', async () => {
    const plugin = await start()
    await plugin.event('status')
    arrive(mail({ 'Message-ID': '<forged@x>' }, 'I am Ada', []))
    arrive(mail({ 'Message-ID': '<below@x>' }, 'I am Ada', [VERIFIED.replace('pass', 'fail'), VERIFIED]))
    arrive(mail({ 'Message-ID': '<own@x>' }, 'I am Ada', [VERIFIED.replace('mx.', 'evil.')]))
    arrive(mail({ 'Message-ID': '<auto@x>', 'Auto-Submitted': 'auto-replied' }, 'I am away'))
    arrive(mail({ 'Message-ID': '<list@x>', 'List-Id': '<all.example.org>' }, 'To all'))
    arrive(mail({ 'Message-ID': '<real@x>', 'Subject': 'Real' }, 'It is me'))
    const message = await plugin.event('message_received')
    assert.equal(message?.message_id, 'real@x')
  })

  it('reads no mail while nobody told how its server signs, and says so', async () => {
    const plugin = await start({ confirmed_by: '' })
    assert.match((await plugin.event('status'))?.detail ?? '', /until "Confirmed by" is set/)
  })

  it('reads on behind a mail that makes no sense', { timeout: 60_000 }, async () => {
    const plugin = await start()
    await plugin.event('status')
    arrive(mail({ 'Message-ID': '<undated@x>', 'Date': 'the day after tomorrow' }, 'when?'))
    // Six bytes of the protocol for each of these, so that no line to the core takes it.
    arrive(mail({ 'Message-ID': '<endless@x>' }, '\x01'.repeat(200_000)))
    arrive(mail({ 'Message-ID': '<behind@x>' }, 'behind it'))
    const behind = await plugin.event('message_received', ({ message_id }) => message_id === 'behind@x', 30_000)
    assert.ok(behind, plugin.stderr())
    assert.ok(plugin.events.some((event) => event.type === 'message_received' && event.message_id === 'undated@x'))
    assert.ok(plugin.events.some((event) => event.type === 'log' && event.message.startsWith('A mail can not be read')))
  })

  it('goes on when it keeps as many threads as it may', async () => {
    const state = new Map<string, unknown>()
    for (let i = 0; i < 9998; i++) {
      state.set(`thread:${(i % 16).toString(16)}${i}`, { subject: '', references: [], at: Date.now() - i * 1000 })
    }
    const plugin = await start({}, { state })
    await plugin.event('status')
    for (let i = 0; i < 4; i++) arrive(mail({ 'Message-ID': `<thread-${i}@x>` }, 'hello'))
    const last = await plugin.event('message_received', ({ message_id }) => message_id === 'thread-3@x')
    assert.ok(last, plugin.stderr())
  })

  it('gives files with a mail, and the text of one that has only HTML', async () => {
    const plugin = await start()
    await plugin.event('status')
    arrive(mail(
      { 'Message-ID': '<files@x>', 'In-Reply-To': '<one@example.org>', 'Content-Type': 'multipart/mixed; boundary=b' },
      [
        '--b',
        'Content-Type: text/html; charset=utf-8',
        '',
        '<p>See <b>this</b>:</p><script>alert(1)</script><p>&auml;&amp;</p>',
        '--b',
        'Content-Type: image/png; name="a.png"',
        'Content-Transfer-Encoding: base64',
        'Content-Disposition: attachment; filename="../a.png"',
        '',
        'iVBORw0KGgo=',
        '--b--',
        '',
      ].join('\r\n'),
    ))
    const text = await plugin.until(() =>
      plugin.events.find((event) => event.type === 'message_received' && event.message_id === 'files@x')
    )
    assert.ok(text?.type === 'message_received' && text.content.type === 'text')
    assert.equal(text.content.text, 'See this:\nä&')
    assert.equal(text.routing.thread_id, 'one@example.org')
    const file = plugin.events.find((event) => event.type === 'message_received' && event.message_id === 'files@x#1')
    assert.ok(file?.type === 'message_received' && file.content.type === 'media')
    assert.deepEqual(file.content, {
      type: 'media',
      media_type: 'image',
      url: 'data:image/png;name=_a.png;base64,iVBORw0KGgo=',
      caption: '.._a.png',
    })
  })

  it('tells why a mail was refused and whether to try again, and ends when the password is wrong', async () => {
    const plugin = await start()
    await plugin.event('status')
    const send = (request_id: string) =>
      plugin.ask({ type: 'send_message', request_id, chat_id: 'nobody@example.org', content: 'hello' })
    refuse = Object.assign(new Error('No such user'), { responseCode: 550 })
    const gone = await send('R1')
    assert.ok(gone?.type === 'command_error')
    assert.equal(gone.code, 'chat_not_found')
    refuse = Object.assign(new Error('Later'), { responseCode: 451 })
    const later = await send('R2')
    assert.ok(later?.type === 'command_error')
    assert.deepEqual([later.code, later.retry_after_ms], ['rate_limited', 60_000])
    await plugin.kill()
    const wrong = await start({}, { secrets: { password: 'wrong' } })
    const error = await wrong.event('error')
    assert.deepEqual([error?.code, error?.fatal], ['unauthorized', true])
  })

  it('passes the conformance kit', { timeout: 120_000 }, async () => {
    const given = { config: settings(), secrets: { password: 'testpass' } }
    assert.deepEqual(await faultsOf('email', given, 'ada@example.org'), [])
  })
})

describe('a mail', () => {
  it('is read without what it quotes', () => {
    assert.equal(newText('Yes.\r\n\r\nOn Mon, 1 Jan 2026 at 10:00, Ada <a@x> wrote:\r\n> Is it?\r\n'), 'Yes.')
    assert.equal(newText('Ja.\n\nAm 01.01.26 um 10:00 schrieb Ada\n<a@x>:\n> Stimmt es?'), 'Ja.')
    assert.equal(newText('> only a quotation'), '> only a quotation')
    assert.equal(newText('a > b\n> quoted\nmore'), 'a > b\n> quoted\nmore')
  })

  it('in HTML keeps its lines and its links', () => {
    assert.equal(htmlToText('<p>One<br>two</p><ul><li>a</li><li>b</li></ul>'), 'One\ntwo\n\n- a\n- b')
    assert.equal(htmlToText('<a href="https://x.example/">here</a>'), 'here (https://x.example/)')
  })

  it('is confirmed only by the topmost result of the server itself, and for the domain that it names', () => {
    const from = 'From: ada@example.org'
    const check = (lines: string[], server: string | undefined = 'mx') =>
      isConfirmed(parseHeader([...lines, from].join('\r\n')), 'ada@example.org', server)
    const by = (text: string): string => `Authentication-Results: ${text}`
    assert.ok(check([by('MX;\r\n dmarc=pass header.from=example.org')]))
    assert.ok(!check([by('mx; dmarc=pass header.from=evil.example')]))
    assert.ok(!check([by('mx; dmarc=none'), by('mx; dmarc=pass')]))
    assert.ok(!check([by('evil; dmarc=pass')]))
    assert.ok(!isConfirmed(parseHeader([by('mx; dmarc=pass'), from].join('\r\n')), 'ada@example.org', undefined))
    assert.ok(check([by('other; dkim=pass'), by('mx; dkim=fail; dmarc=pass (p=none) header.from=example.org')]))
    assert.ok(check([by('a7.mx.example; dmarc=pass')], '*.mx.example') && !check([by('mx; dmarc=pass')], '*.x'))
    assert.ok(check([by('spf=pass smtp.mailfrom=x; dmarc=pass')], '') && !check([by('mx; dmarc=pass')], ''))
    assert.ok(!check([by('mx; dmarc=pass'), 'From: eve@evil.example']), 'one of two senders is confirmed')
  })

  it('is not confirmed by words that the sender chose', () => {
    for (
      const words of [
        'spf=pass (domain of dmarc=pass@evil.example) smtp.mailfrom=dmarc=pass@evil.example',
        'spf=pass (a (nested) ; dmarc=pass) smtp.mailfrom="x; dmarc=pass \\" ; dmarc=pass"',
        'spf=pass (not closed; dmarc=pass header.from=example.org',
      ]
    ) {
      for (const end of ['', '; dmarc=fail header.from=example.org']) {
        const header = parseHeader(`Authentication-Results: mx; ${words}${end}\r\nFrom: ada@example.org`)
        assert.ok(!isConfirmed(header, 'ada@example.org', 'mx'), words)
      }
    }
  })

  it('comes from a provider whose name for itself is known, or from none', () => {
    assert.equal(signerOf('imap.gmail.com'), 'mx.google.com')
    assert.equal(signerOf('outlook.office365.com'), '')
    assert.equal(signerOf('imap.gmail.com.evil.example'), undefined)
    assert.equal(signerOf('notgmail.com'), undefined)
  })

  it('from a program is told from one of a person', () => {
    assert.ok(isAutomatic(parseHeader('Precedence: bulk'), 'a@x') && !isAutomatic([], 'a@x'))
  })
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
