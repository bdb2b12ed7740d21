import { auth } from '../api/auth.ts'
import { explain } from '../errors.ts'
import { paths } from '../paths.ts'
import { toast } from '../ui/toast.svelte.ts'

/** Ends this browser's session; leaves by a full load, so that nothing of it stays in memory. */
export async function signOut(): Promise<void> {
  try {
    await auth().logout()
    location.assign(paths.login())
  } catch (error) {
    toast.error('You are still signed in', explain(error).what)
  }
}
