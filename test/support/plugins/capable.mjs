// A plugin of the tests that registers what its settings name, and does what it is called for. Runs on any runtime.
import { createInterface } from 'node:readline'
import process from 'node:process'

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
const cancelled = []
const answers = new Map()
let asked = 0

const ask = (question) =>
  new Promise((resolve) => {
    answers.set(`s${++asked}`, resolve)
    say({ ...question, request_id: `s${asked}` })
  })

const tools = {
  add: ({ a, b }) => ({ text: String(a + b) }),
  fails: () => Promise.reject(Object.assign(new Error('not today'), { code: 'platform_error' })),
  slow: () => new Promise(() => {}),
  streams: (_, call_id) => {
    for (const data of ['one ', 'two ']) say({ type: 'chunk', call_id, data })
    return { text: 'three' }
  },
  floods: (_, call_id) => {
    for (let i = 0; i < 200; i++) say({ type: 'chunk', call_id, data: 'x' })
    return { text: 'done' }
  },
  counts: async () => {
    const { value } = await ask({ type: 'state_get', key: 'count' })
    await ask({ type: 'state_set', key: 'count', value: (value ?? 0) + 1 })
    return { text: `${(value ?? 0) + 1}` }
  },
  cancelled: () => ({ text: cancelled.join(',') }),
  reaches: async ({ url, file }) => {
    const { readFile } = await import('node:fs/promises')
    const tried = await Promise.allSettled([url ? fetch(url) : 0, file ? readFile(file, 'utf8') : 0])
    return { text: tried.map(({ status, reason }) => reason?.name ?? status).join(',') }
  },
  secret: (_, __, settings) => ({ text: JSON.stringify(settings) }),
}

let settings
createInterface({ input: process.stdin }).on('line', async (line) => {
  const record = JSON.parse(line)
  switch (record.type) {
    case 'configure': {
      settings = { config: record.config, secrets: record.secrets }
      process.stderr.write(`my token is ${record.secrets.token ?? 'not set'}\n`)
      say({ type: 'ready', gateway: record.plugin.id, version: 'v1alpha1' })
      if (record.config.identity) say({ type: 'status', connected: true, identity: record.config.identity })
      for (const name of record.config.tools ?? []) {
        const input_schema = { type: 'object', properties: {} }
        say({
          type: 'register',
          handle: name,
          kind: 'tool',
          definition: { name, description: `The tool ${name}`, effect: 'read', input_schema },
        })
      }
      for (const kind of record.config.kinds ?? []) {
        say({ type: 'register', handle: kind, kind, definition: { name: 'mine', description: 'Mine', label: 'Mine' } })
      }
      return
    }
    case 'ping':
      return say({ type: 'pong', request_id: record.request_id, uptime_seconds: 1, connected: true })
    case 'shutdown':
      return process.exit(0)
    case 'state_ok':
    case 'state_failed':
      return answers.get(record.request_id)?.(record)
    case 'cancel':
      return cancelled.push(record.reason)
    case 'call': {
      const { call_id, handle, method, input } = record
      try {
        if (method === 'start') return say({ type: 'result', call_id, output: null })
        if (method === 'handle') return say({ type: 'result', call_id, output: { text: `you said ${input.args}` } })
        if (method === 'search') {
          const result = { title: input.query, url: 'https://example.org', snippet: 'found' }
          return say({ type: 'result', call_id, output: { results: [result] } })
        }
        say({ type: 'result', call_id, output: await tools[handle](input, call_id, settings) })
      } catch ({ code = 'failed', message }) {
        say({ type: 'failed', call_id, code, message })
      }
    }
  }
}).on('close', () => process.exit(0))
