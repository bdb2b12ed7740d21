import Database from 'libsql'
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A value on the wire (Hrana 2, JSON): integers travel as text. */
type WireValue =
  | { type: 'null' }
  | { type: 'integer'; value: string }
  | { type: 'float'; value: number }
  | { type: 'text'; value: string }
  | { type: 'blob'; base64: string }

type WireStatement = {
  sql?: string
  sql_id?: number
  args?: WireValue[]
  named_args?: { name: string; value: WireValue }[]
}

type Condition =
  | { type: 'ok' | 'error'; step: number }
  | { type: 'not'; cond: Condition }
  | { type: 'and' | 'or'; conds: Condition[] }
  | { type: 'is_autocommit' }

type WireRequest =
  | { type: 'execute'; stmt: WireStatement }
  | { type: 'batch'; batch: { steps: { stmt: WireStatement; condition?: Condition | null }[] } }
  | { type: 'sequence' | 'describe'; sql?: string; sql_id?: number }
  | { type: 'store_sql'; sql_id: number; sql: string }
  | { type: 'close_sql'; sql_id: number }
  | { type: 'get_autocommit' | 'close' }

type Native = InstanceType<typeof Database>
type Prepared = {
  reader: boolean
  columns(): { name: string; type: string | null }[]
  raw(on: boolean): void
  safeIntegers(on: boolean): void
  all(args: unknown): unknown[][]
  run(args: unknown): { changes: number; lastInsertRowid: number | bigint }
}
/** One client's stream: a connection of its own, kept between requests under a baton. */
type Stream = { db: Native; stored: Map<number, string>; used: number }
type StepResults = { results: (object | null)[]; errors: (object | null)[] }

/** Milliseconds after which a stream that nobody continues is closed. */
const STREAM_LIFE = 10_000
const BUSY_TRIES = 1500

/** A small libSQL server over one file, with the real engine behind it and the real client in front. */
export async function startHrana(file: string): Promise<{ url: string; close(): Promise<void> }> {
  const streams = new Map<string, Stream>()
  const server = createServer(async (request, response) => {
    const answer = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (request.method === 'GET') return answer(request.url === '/v2' ? 200 : 404, {})
    const chunks: Uint8Array[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { baton, requests } = JSON.parse(Buffer.concat(chunks).toString()) as {
      baton?: string
      requests: WireRequest[]
    }
    const stream = baton ? streams.get(baton) : openStream(file)
    if (!stream) return answer(400, { message: 'The stream has expired', code: 'STREAM_EXPIRED' })
    if (baton) streams.delete(baton)
    const results = []
    for (const wanted of requests) results.push(await answerPatiently(stream, wanted))
    if (requests.some(({ type }) => type === 'close')) {
      closeStream(stream)
      return answer(200, { baton: null, base_url: null, results })
    }
    const next = randomUUID()
    stream.used = Date.now()
    streams.set(next, stream)
    answer(200, { baton: next, base_url: null, results })
  })
  const sweeper = setInterval(() => {
    for (const [baton, stream] of streams) {
      if (Date.now() - stream.used < STREAM_LIFE) continue
      streams.delete(baton)
      closeStream(stream)
    }
  }, 1000)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      clearInterval(sweeper)
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      for (const stream of streams.values()) closeStream(stream)
    },
  }
}

function openStream(file: string): Stream {
  const db = new Database(file, { timeout: 0 })
  db.exec('pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on')
  return { db, stored: new Map(), used: Date.now() }
}

function closeStream({ db }: Stream): void {
  if (db.inTransaction) db.exec('rollback')
  db.close()
}

/** Waits for other streams' transactions as a real server does, so that clients rarely see a busy database. */
async function answerPatiently(stream: Stream, request: WireRequest): Promise<object> {
  for (let tries = 0;; tries++) {
    try {
      return { type: 'ok', response: handle(stream, request) }
    } catch (error) {
      if (codeOf(error) !== 'SQLITE_BUSY' || tries >= BUSY_TRIES) return { type: 'error', error: wireError(error) }
      await sleep(10)
    }
  }
}

function handle(stream: Stream, request: WireRequest): object {
  const { type } = request
  switch (type) {
    case 'execute':
      return { type, result: execute(stream, request.stmt) }
    case 'batch':
      return { type, result: batch(stream, request.batch.steps) }
    case 'sequence':
      stream.db.exec(textOf(stream, request))
      return { type }
    case 'describe': {
      const { reader, cols } = describe(prepare(stream, request))
      return { type, result: { params: [], cols, is_explain: false, is_readonly: reader } }
    }
    case 'store_sql':
      stream.stored.set(request.sql_id, request.sql)
      return { type }
    case 'close_sql':
      stream.stored.delete(request.sql_id)
      return { type }
    case 'get_autocommit':
      return { type, is_autocommit: !stream.db.inTransaction }
    case 'close':
      return { type }
  }
}

function execute(stream: Stream, statement: WireStatement): object {
  const prepared = prepare(stream, statement)
  prepared.safeIntegers(true)
  const { reader, cols } = describe(prepared)
  const args = argumentsOf(statement)
  if (!reader) {
    const { changes, lastInsertRowid } = prepared.run(args)
    return { cols, rows: [], affected_row_count: changes, last_insert_rowid: String(lastInsertRowid) }
  }
  prepared.raw(true)
  const rows = prepared.all(args).map((row) => row.map(toWire))
  const writes = !/^\s*(select|pragma|explain|values|with)/i.test(textOf(stream, statement))
  return { cols, rows, affected_row_count: writes ? rows.length : 0, last_insert_rowid: null }
}

function batch(stream: Stream, steps: { stmt: WireStatement; condition?: Condition | null }[]): object {
  const { results, errors }: StepResults = { results: [], errors: [] }
  for (const { stmt, condition } of steps) {
    let result: object | null = null
    let failure: object | null = null
    if (holds(stream, condition, { results, errors })) {
      try {
        result = execute(stream, stmt)
      } catch (error) {
        // A transaction's `begin` is the first step of a batch: it may be tried again as long as nothing was done.
        if (codeOf(error) === 'SQLITE_BUSY' && results.every((done) => done === null)) throw error
        failure = wireError(error)
      }
    }
    results.push(result)
    errors.push(failure)
  }
  return { step_results: results, step_errors: errors }
}

function holds(stream: Stream, condition: Condition | null | undefined, done: StepResults): boolean {
  if (!condition) return true
  switch (condition.type) {
    case 'ok':
      return done.results[condition.step] !== null
    case 'error':
      return done.errors[condition.step] !== null
    case 'not':
      return !holds(stream, condition.cond, done)
    case 'and':
      return condition.conds.every((each) => holds(stream, each, done))
    case 'or':
      return condition.conds.some((each) => holds(stream, each, done))
    case 'is_autocommit':
      return !stream.db.inTransaction
  }
}

const prepare = (stream: Stream, from: { sql?: string; sql_id?: number }): Prepared =>
  stream.db.prepare(textOf(stream, from)) as unknown as Prepared

const textOf = (stream: Stream, { sql, sql_id }: { sql?: string; sql_id?: number }): string =>
  sql ?? stream.stored.get(sql_id ?? -1) ?? ''

const describe = (prepared: Prepared) => ({
  reader: prepared.reader,
  cols: prepared.reader ? prepared.columns().map(({ name, type }) => ({ name, decltype: type })) : [],
})

function argumentsOf({ args = [], named_args = [] }: WireStatement): unknown {
  if (named_args.length === 0) return args.map(fromWire)
  return Object.fromEntries(named_args.map(({ name, value }) => [name.replace(/^[:@$]/, ''), fromWire(value)]))
}

function fromWire(value: WireValue): unknown {
  if (value.type === 'null') return null
  if (value.type === 'integer') return BigInt(value.value)
  return value.type === 'blob' ? Buffer.from(value.base64, 'base64') : value.value
}

function toWire(value: unknown): WireValue {
  if (value === null || value === undefined) return { type: 'null' }
  if (typeof value === 'bigint') return { type: 'integer', value: String(value) }
  if (typeof value === 'number') return { type: 'float', value }
  if (typeof value === 'string') return { type: 'text', value }
  return { type: 'blob', base64: Buffer.from(value as ArrayBuffer).toString('base64').replace(/=+$/, '') }
}

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code ?? 'SQL_ERROR')

function wireError(error: unknown): { message: string; code: string } {
  const message = error instanceof Error ? error.message : String(error)
  return { message: message.startsWith('SQLITE') ? message : `SQLite error: ${message}`, code: codeOf(error) }
}
