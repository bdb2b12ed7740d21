// A chat platform with its plugin: people who write at a fixed rate, and what it takes until that is stored and answered.
import process from 'node:process'
import { createInterface } from 'node:readline'

/** One message in so many tells when it was stored: the store of the plugin answers after what came before it. */
const SAMPLE = 5
const PATIENCE_MS = 60_000

const name = process.argv[2]
const say = (record) => process.stdout.write(`${JSON.stringify(record)}\n`)
const stored = new Map()
const answered = new Map()
const times = { stored: [], answered: [] }
let lastStored = 0

function settle(waiting, id, into) {
  const at = waiting.get(id)
  if (at === undefined) return
  waiting.delete(id)
  into.push(performance.now() - at)
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { type, request_id, reply_to } = JSON.parse(line)
  if (type === 'configure') {
    say({ type: 'ready', gateway: 'bench', version: 'v1alpha1', capabilities: ['reply'] })
    void run()
  } else if (type === 'ping') say({ type: 'pong', request_id, uptime_seconds: 1, connected: true })
  else if (type === 'shutdown') process.exit(0)
  else if (type === 'state_ok') {
    lastStored = performance.now()
    settle(stored, request_id, times.stored)
  } else if (type === 'send_message') {
    say({ type: 'command_ok', request_id, message_id: `answer-${request_id}` })
    settle(answered, reply_to, times.answered)
  }
}).on('close', () => process.exit(0))

async function run() {
  const { perSecond, seconds, mentionEvery } = await (await fetch(`${process.env.BENCH_URL}/begin`)).json()
  const total = perSecond * seconds
  const begin = performance.now()
  for (let sent = 0; sent < total;) {
    for (const due = (performance.now() - begin) / 1000 * perSecond; sent < Math.min(due, total); sent++) {
      write(sent, sent % mentionEvery === 0)
      if (sent % SAMPLE === 0 || sent === total - 1) {
        stored.set(`s${sent}`, performance.now())
        say({ type: 'state_get', request_id: `s${sent}`, key: 'none' })
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  const end = performance.now() + PATIENCE_MS
  while (stored.size + answered.size > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const kept = Math.min(total, times.stored.length * SAMPLE)
  const body = { total, kept, open: stored.size + answered.size, storedMs: lastStored - begin, ...times }
  await fetch(`${process.env.BENCH_URL}/done`, { method: 'POST', body: JSON.stringify(body) })
}

function write(number, mention) {
  const message_id = `m${number}`
  const sender = { id: String(number % 10), display_name: `Person ${number % 10}` }
  if (mention) answered.set(message_id, performance.now())
  say({
    type: 'message_received',
    message_id,
    chat_id: `group-${name}`,
    sender,
    content: { type: 'text', text: mention ? 'tokens 8 0' : `This is what somebody says as number ${number}.` },
    routing: { channel: 'bench', chat_type: 'group', chat_id: `group-${name}`, sender_id: sender.id },
    mentions_bot: mention,
  })
}
