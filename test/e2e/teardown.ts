import { rm } from 'node:fs/promises'

/** Removes the home of the run's server. */
export default async function teardown(): Promise<void> {
  await rm(process.env.E2E_HOME!, { recursive: true, force: true, maxRetries: 5 })
}
