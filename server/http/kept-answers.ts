import { createHash } from 'node:crypto'
import type { Context } from 'hono'
import { canonicalJson } from '../../shared/canonical-json.ts'
import type { Db } from '../db/open.ts'
import { AppError, invalid } from '../errors.ts'
import type { Log } from '../system/log.ts'
import type { AppEnv } from './env.ts'

type Tables = {
  kept_answers: { principal: string; key: string; hash: string; answer: string | null; at: number }
}

type Answer = { status: number; headers: Record<string, string>; body: string }

/** Makes a POST that is sent again under one `Idempotency-Key` act once (spec conventions §4.3). */
export type KeptAnswers = {
  /**
   * Runs the handlers behind a request, or answers what the first request with its key was answered. Throws
   * `unprocessable` for a key that belongs to another request, `conflict` for one that has no answer yet.
   */
  once(c: Context<AppEnv>, body: unknown, run: () => Promise<void>): Promise<Response | undefined>
}

const DAY_MS = 24 * 3600_000

/** Of an answer, beside its body; a cookie is for the first browser alone. */
const KEPT_HEADERS = ['content-type', 'cache-control', 'etag', 'link', 'location']

/**
 * A key belongs to one principal for a day. Only what succeeded is kept: after a refusal nothing was done, and the key
 * is free again. An answer may hold a secret that is shown once, so it is sealed.
 */
export function createKeptAnswers(
  { kysely, seal, open, log, now }: {
    kysely: Db
    seal: (plain: string) => string
    open: (sealed: string) => string
    log: Log
    now: () => number
  },
): KeptAnswers {
  const db = kysely.withTables<Tables>()

  /** Takes the key, or tells who has it. */
  const take = (principal: string, key: string, hash: string) =>
    db.transaction().execute(async (tx) => {
      await tx.deleteFrom('kept_answers').where('at', '<=', now() - DAY_MS).execute()
      const holder = await tx.selectFrom('kept_answers').select(['hash', 'answer'])
        .where('principal', '=', principal).where('key', '=', key).executeTakeFirst()
      if (holder) return holder
      await tx.insertInto('kept_answers').values({ principal, key, hash, at: now() }).execute()
    })

  const release = (principal: string, key: string) =>
    db.deleteFrom('kept_answers').where('principal', '=', principal).where('key', '=', key).execute()

  const keep = (principal: string, key: string, answer: Answer) =>
    db.updateTable('kept_answers').set({ answer: seal(JSON.stringify(answer)) })
      .where('principal', '=', principal).where('key', '=', key).execute()

  async function settle(c: Context<AppEnv>, principal: string, key: string): Promise<void> {
    if (!c.res.ok) return void await release(principal, key)
    // A stream is not kept: its key stays taken, and what it began is found where it was begun.
    if (c.res.headers.get('content-type')?.startsWith('text/event-stream')) return
    const headers = KEPT_HEADERS.flatMap((name) => {
      const value = c.res.headers.get(name)
      return value === null ? [] : [[name, value] as const]
    })
    const body = await c.res.clone().text()
    await keep(principal, key, { status: c.res.status, headers: Object.fromEntries(headers), body })
  }

  return {
    async once(c, body, run) {
      const key = idempotencyKeyOf(c)
      if (key === undefined) return void await run()
      const principal = c.var.caller.id
      const hash = hashOf(c, body)
      const holder = await take(principal, key, hash)
      if (holder) return replay(holder, hash, open)
      await run()
      await settle(c, principal, key).catch((error: unknown) =>
        log.error('http.answer_not_kept', 'An answer was not kept for its Idempotency-Key', { error: String(error) })
      )
    },
  }
}

/** The request's `Idempotency-Key`; throws `invalid_input` for one that is no key. */
export function idempotencyKeyOf(c: Context): string | undefined {
  const key = c.req.header('idempotency-key')
  if (key === undefined || /^[\x21-\x7e]{1,200}$/.test(key)) return key
  throw invalid('Idempotency-Key', 'must be 1 to 200 printable characters')
}

function replay(holder: { hash: string; answer: string | null }, hash: string, open: (sealed: string) => string) {
  if (holder.hash !== hash) {
    throw new AppError('unprocessable', 'This Idempotency-Key was used for another request; use a new key')
  }
  if (holder.answer === null) {
    throw new AppError(
      'conflict',
      'The first request with this Idempotency-Key still runs, was answered by a stream, or was cut off. ' +
        'Look at what it did before you send it again with a new key.',
    )
  }
  const { status, headers, body } = JSON.parse(open(holder.answer)) as Answer
  return new Response(status === 204 ? null : body, { status, headers: { ...headers, 'idempotent-replayed': 'true' } })
}

/** Of what is asked for. An upload's bytes are not read for it: its parts are separated anew at each try. */
const hashOf = (c: Context, body: unknown): string =>
  createHash('sha256').update(canonicalJson([new URL(c.req.url).pathname, c.req.query(), body ?? null])).digest('hex')
