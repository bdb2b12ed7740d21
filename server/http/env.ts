import type { Caller } from '../auth/principal.ts'
import type { KeptAnswers } from './kept-answers.ts'

/** What every request carries through Hono: set by `request-id.ts`, `auth/middleware.ts` and `app.ts`. */
export type AppEnv = { Variables: { requestId: string; caller: Caller; keptAnswers?: KeptAnswers } }
