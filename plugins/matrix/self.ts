import type { MatrixApi } from './api.ts'

/** Our own account; the id is empty until the server told it. */
export type Self = { id: string }

/** Asks who the token belongs to, once. */
export async function whoAmI(api: MatrixApi, self: Self): Promise<string> {
  if (self.id === '') self.id = (await api.call<{ user_id: string }>('GET', 'client/v3/account/whoami')).user_id
  return self.id
}
