// A program that does one bad thing, named by its first argument.
import { spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import process from 'node:process'
import { createInterface } from 'node:readline'

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
const ready = () => say({ type: 'ready', gateway: 'bad', version: 'v1alpha1' })
const message = (text) => ({
  type: 'message_received',
  message_id: '1',
  chat_id: '1',
  sender: { id: '7' },
  content: { type: 'text', text },
  routing: { channel: 'bad', chat_type: 'dm', chat_id: '1', sender_id: '7' },
})
const forever = () => setInterval(() => {}, 1000)

const deeds = {
  'crash-loop': () => process.exit(1),
  'crash-after-ready': () =>
    process.stdout.write('{"type":"ready","gateway":"bad","version":"v1alpha1"}\n', () => process.exit(1)),
  hang: () => {
    ready()
    setTimeout(() => {
      for (;;);
    }, 20)
  },
  mute: forever,
  flood: () => {
    ready()
    const lines = `${JSON.stringify(message('flood'))}\n`.repeat(500)
    const more = () => process.stdout.write(lines, more)
    more()
  },
  junk: () => {
    ready()
    const more = () => process.stdout.write('no JSON\n'.repeat(2000), more)
    more()
  },
  endless: () => {
    ready()
    const more = () => process.stdout.write('x'.repeat(65_536), more)
    more()
  },
  'long-line': () => {
    ready()
    say(message('x'.repeat(2 * 1024 * 1024)))
    say(message('after'))
    process.stdin.resume()
  },
  halves: async () => {
    ready()
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
    const bytes = Buffer.from(['one', 'two', 'thrée'].map((text) => `${JSON.stringify(message(text))}\n`).join(''))
    for (let at = 0; at < bytes.length; at += 7) {
      process.stdout.write(bytes.subarray(at, at + 7))
      await pause(1)
    }
    // The rest of this one never comes.
    process.stdout.write('{"type":"message_rec')
    forever()
  },
  liar: () => {
    ready()
    createInterface({ input: process.stdin }).on('line', (line) => {
      const { content } = JSON.parse(line)
      for (const request_id of [content ?? 'nobody', 'nobody']) {
        say({ type: 'command_ok', request_id, message_id: 'a lie' })
        say({ type: 'command_error', request_id, code: 'platform_error', message: 'a lie' })
        say({ type: 'pong', request_id, uptime_seconds: 1, connected: true })
        say({ type: 'result', call_id: request_id, output: 'a lie' })
        say({ type: 'chunk', call_id: request_id, data: 'a lie' })
        say({ type: 'unregister', handle: request_id })
      }
    })
  },
  'noisy-log': () => {
    ready()
    const more = () => process.stderr.write('noise\n'.repeat(5000), more)
    more()
  },
  unread: () => {
    ready()
    forever()
  },
  'closed-output': () => {
    ready()
    setTimeout(() => {
      writeSync(1, '')
      process.stdout.destroy()
      forever()
    }, 50)
  },
  stubborn: () => {
    process.on('SIGTERM', () => {})
    ready()
    forever()
    say(message(`child ${spawn('sleep', ['600'], { stdio: 'ignore' }).pid}`))
  },
  escaping: () => {
    ready()
    forever()
    say(message(`child ${spawn('sleep', ['600'], { stdio: 'ignore', detached: true }).pid}`))
  },
  leaving: () => {
    ready()
    say({ type: 'shutdown', reason: 'enough' })
    process.on('SIGTERM', () => {})
    forever()
  },
  fatal: () => {
    ready()
    say({ type: 'error', code: 'unauthorized', message: 'the token is wrong', fatal: true })
    forever()
  },
  forks: () => {
    ready()
    // Each starts two more, six generations long, should nobody stop them.
    const bomb = 'if [ "$1" -gt 0 ]; then sh -c "$0" "$0" $(($1 - 1)) & sh -c "$0" "$0" $(($1 - 1)) & fi; sleep 60'
    spawn('sh', ['-c', bomb, bomb, '6'], { stdio: 'ignore' })
    forever()
  },
  greedy: () => {
    ready()
    const kept = []
    setInterval(() => kept.length < 40 && kept.push(Buffer.alloc(16 * 1024 * 1024, 1)), 20)
  },
}
deeds[process.argv[2]]()
