// Says ready, and answers every command as soon as it comes.
import { createInterface } from 'node:readline'

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
createInterface({ input: process.stdin }).on('line', (line) => {
  const { type, request_id } = JSON.parse(line)
  if (type === 'ping') say({ type: 'pong', request_id, uptime_seconds: 1, connected: true })
  else if (type === 'shutdown') process.exit(0)
  else say({ type: 'command_ok', request_id, message_id: '1' })
}).on('close', () => process.exit(0))
say({ type: 'ready', gateway: 'bench', version: 'v1alpha1' })
