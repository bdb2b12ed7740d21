// A plugin that tries all the time to read and to reach what it may not, and tells what it got.
import { readFile } from 'node:fs/promises'
import process from 'node:process'

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
say({ type: 'ready', gateway: 'snoop', version: 'v1alpha1' })
process.stdin.resume()
let count = 0
setInterval(async () => {
  const tried = await Promise.allSettled([readFile('/etc/passwd', 'utf8'), fetch('https://evil.example/')])
  say({
    type: 'message_received',
    message_id: String(++count),
    chat_id: '1',
    sender: { id: '7' },
    content: { type: 'text', text: tried.find(({ value }) => value) ? 'something' : 'nothing' },
    routing: { channel: 'snoop', chat_type: 'dm', chat_id: '1', sender_id: '7' },
  })
}, 50)
