// A gateway of the tests: says ready, answers every command, and obeys what the content of a message says.
import { createInterface } from 'node:readline'
import process from 'node:process'

const name = process.argv[2] ?? 'test'
let half
const say = (event) => half ? half.push(event) : process.stdout.write(`${JSON.stringify(event)}\n`)
let sent = 0
let pongs = true

const message = (id, text, more = {}) => ({
  type: 'message_received',
  message_id: String(id),
  chat_id: '1',
  sender: { id: '7' },
  content: { type: 'text', text },
  routing: { channel: name, chat_type: 'dm', chat_id: '1', sender_id: '7' },
  ...more,
})

const orders = {
  silent: () => {},
  'message TEXT': ({ rest }) => say(message(++sent, rest)),
  'many COUNT': ({ rest }) => {
    for (let i = 1; i <= Number(rest); i++) say(message(i, `message ${i}`))
  },
  'raw TEXT': ({ rest }) => process.stdout.write(rest.replaceAll('\\n', '\n').replaceAll('\\r', '\r')),
  'halves TEXT': async ({ rest }) => {
    const line = JSON.stringify(message(++sent, rest))
    half = []
    process.stdout.write(line.slice(0, 20))
    await new Promise((resolve) => setTimeout(resolve, 50))
    process.stdout.write(`${line.slice(20)}\n`)
    const waiting = half
    half = undefined
    waiting.forEach(say)
  },
  'fail CODE': ({ rest, request_id }) =>
    say({ type: 'command_error', request_id, code: rest, message: 'as told', retry_after_ms: 7000 }),
  'exit CODE': ({ rest }) => process.exit(Number(rest)),
  'farewell CODE': ({ rest }) => {
    say(message(++sent, 'last words'))
    process.stdout.write(JSON.stringify(message(++sent, 'without an end')), () => process.exit(Number(rest)))
  },
  'die COUNT': ({ rest }) => {
    for (let i = 1; i <= Number(rest); i++) say(message(i, `message ${i}`))
    say({ type: 'status', connected: false })
    const error = { type: 'error', code: 'fatal', message: 'as told', fatal: true }
    process.stdout.write(`${JSON.stringify(error)}\n`, () => process.exit(1))
  },
  'late MS': ({ rest, request_id }) =>
    setTimeout(() => say({ type: 'command_ok', request_id, message_id: 'late' }), Number(rest)),
  'lie ID': ({ rest }) => say({ type: 'command_ok', request_id: rest, message_id: 'a lie' }),
  'deaf COUNT': ({ rest, request_id }) => {
    process.stdin.pause()
    say({ type: 'command_ok', request_id })
    setTimeout(() => {
      for (let i = 0; i < Number(rest); i++) say(message(++sent, `${i} ${'y'.repeat(2000)}`))
      setTimeout(() => process.stdin.resume(), 300)
    }, 300)
  },
  numb: () => (pongs = false),
  environment: ({ request_id }) =>
    say({ type: 'command_ok', request_id, message_id: Object.keys(process.env).sort().join(',') }),
}
const QUIET = /^(silent|fail|late|lie|environment|deaf)$/

createInterface({ input: process.stdin }).on('line', async (line) => {
  const command = JSON.parse(line)
  const { type, request_id } = command
  if (type === 'shutdown') process.exit(0)
  if (type === 'ping') return pongs && say({ type: 'pong', request_id, uptime_seconds: 1, connected: true })
  if (type === 'send_typing') return process.stderr.write(`typing ${command.duration}\n`)
  const [, word, rest = ''] = /^(\w+) ?(.*)$/s.exec(command.content ?? '') ?? []
  const order = Object.keys(orders).find((key) => key.split(' ')[0] === word)
  if (order) await orders[order]({ rest, request_id })
  if (!QUIET.test(word)) say({ type: 'command_ok', request_id, message_id: `m${++sent}` })
}).on('close', () => process.exit(0))

say({ type: 'ready', gateway: name, version: 'v1alpha1', capabilities: ['edit', 'typing'] })
