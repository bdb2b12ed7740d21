// A program that does one bad thing, named by its first argument.
import { spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import process from 'node:process'

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
    // Bounded, should nobody stop it.
    let left = 150
    setInterval(() => {
      for (let i = 0; i < 5 && left-- > 0; i++) spawn('sleep', ['60'], { stdio: 'ignore' })
    }, 20)
  },
  greedy: () => {
    ready()
    const kept = []
    setInterval(() => kept.length < 40 && kept.push(Buffer.alloc(16 * 1024 * 1024, 1)), 20)
  },
}
deeds[process.argv[2]]()
