import * as v from 'valibot'

/** What a key or a browser may do; admin includes the others. */
export const Scope = v.picklist(['read', 'chat', 'admin'], 'must be read, chat or admin')
export type Scope = v.InferOutput<typeof Scope>

const Scopes = v.pipe(v.array(Scope), v.minLength(1, 'must name at least one of read, chat, admin'), v.maxLength(3))

const Name = v.pipe(
  v.string('must be a text'),
  v.trim(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(100, 'must have at most 100 characters'),
)

/** A person or a machine that owns sessions; `owner` is the one of the first start. */
export const Handle = v.pipe(
  v.string('must be a text'),
  v.trim(),
  v.toLowerCase(),
  v.regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores'),
)

/** Body of `POST /api/keys`. */
export const CreateKeyInput = v.object({
  name: Name,
  scopes: Scopes,
  handle: v.optional(Handle),
  /** Epoch seconds or RFC 3339; never when left out or null. */
  expires_at: v.optional(v.nullable(v.union([v.number(), v.string()], 'must be epoch seconds or an RFC 3339 time'))),
})
export type CreateKeyInput = v.InferOutput<typeof CreateKeyInput>

/** An API key as lists show it; its secret is only in the answer that made it. */
export type ApiKey = {
  id: string
  name: string
  /** The first characters of the secret. */
  prefix: string
  handle: string
  scopes: Scope[]
  /** Epoch seconds, as all times here. */
  created_at: number
  created_at_iso: string
  expires_at: number | null
  expires_at_iso: string | null
  last_used_at: number | null
  last_used_at_iso: string | null
}

/** A browser that is logged in. */
export type Browser = {
  id: string
  name: string
  handle: string
  scopes: Scope[]
  address: string
  created_at: number
  created_at_iso: string
  last_seen_at: number
  last_seen_at_iso: string
  expires_at: number
  expires_at_iso: string
  /** Whether it is the one that asks. */
  current: boolean
}

/** Body of `POST /api/auth/redeem`: the code of a link, or a typed one. */
export const RedeemInput = v.object({
  code: v.pipe(v.string('must be a text'), v.trim(), v.minLength(1, 'must not be empty'), v.maxLength(200)),
})
export type RedeemInput = v.InferOutput<typeof RedeemInput>

/** Body of `POST /api/auth/login`: an API key. */
export const LoginInput = v.object({
  token: v.pipe(v.string('must be a text'), v.trim(), v.minLength(1, 'must not be empty'), v.maxLength(512)),
})
export type LoginInput = v.InferOutput<typeof LoginInput>

/** Body of `POST /api/pairings/browser`. */
export const PairBrowserInput = v.object({
  /** What the new browser may do; as much as the one that pairs it when left out. */
  scopes: v.optional(Scopes),
})
export type PairBrowserInput = v.InferOutput<typeof PairBrowserInput>

/** Answer of `POST /api/pairings/browser`. */
export type BrowserPairing = {
  /** To be typed: `ABCD-EFGH`. */
  code: string
  url: string
  expires_at: number
  expires_at_iso: string
  /** The link as an SVG picture. */
  qr: string
}

/** Answer of `POST /api/auth/redeem` and `/login`. */
export type LoggedIn = { handle: string; scopes: Scope[] }

/** Answer of `GET /api/auth/me`. */
export type Me = {
  id: string
  kind: 'user' | 'key' | 'channel' | 'plugin' | 'schedule'
  name: string
  handle: string
  scopes: Scope[]
  agent_name: string
  version: string
}

/** Query of `GET /api/audit`. */
export const AuditQuery = v.object({
  limit: v.optional(
    v.pipe(v.string(), v.regex(/^\d{1,4}$/, 'must be a number'), v.transform(Number), v.minValue(1), v.maxValue(200)),
  ),
  cursor: v.optional(v.pipe(v.string(), v.maxLength(100))),
  /** Only this action, or all that begin with it: `key.`. */
  action: v.optional(v.pipe(v.string(), v.maxLength(100))),
  /** Part of the name or the handle of who did it. */
  actor: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(100))),
  /** Part of what it was done to, or of the details. */
  about: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(100))),
  /** Epoch seconds; entries from then on. */
  since: v.optional(v.pipe(v.string(), v.regex(/^\d{1,12}$/, 'must be epoch seconds'), v.transform(Number))),
})
export type AuditQuery = v.InferOutput<typeof AuditQuery>

/** Who did what, when and from where. */
export type AuditEntry = {
  id: number
  at: number
  at_iso: string
  actor_kind: string
  actor_id: string
  actor_name: string
  handle: string
  action: string
  target: string
  detail: Record<string, unknown>
  address: string
  /** SHA-256 over this row and the hash of the one before; empty in rows that are older than the chain. */
  hash: string
}

/** Answer of `GET /api/audit/verify`. */
export type AuditCheck = {
  ok: boolean
  /** How many rows were looked at, and how many of them have a hash of their own. */
  rows: number
  chained: number
  /** The newest row that is right. Kept elsewhere, it proves that all up to it is unchanged. */
  head: { id: number; hash: string }
  /** The first row that is not as it was written. */
  broken: { id: number; problem: string } | null
}

/** Newest first. */
export type AuditPage = { items: AuditEntry[]; nextCursor: string | null }
