import type { Caller } from '../auth/principal.ts'

/** What every request carries through Hono: set by `request-id.ts` and `auth/middleware.ts`. */
export type AppEnv = { Variables: { requestId: string; caller: Caller } }
