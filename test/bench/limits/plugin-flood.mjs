// Says ready, and then talks without end.
const message = {
  type: 'message_received',
  message_id: '1',
  chat_id: '1',
  sender: { id: '7' },
  content: { type: 'text', text: 'flood' },
  routing: { channel: 'bench', chat_type: 'dm', chat_id: '1', sender_id: '7' },
}
const lines = `${JSON.stringify(message)}\n`.repeat(500)
const more = () => process.stdout.write(lines, more)
process.stdout.write('{"type":"ready","gateway":"bench","version":"v1alpha1"}\n', more)
