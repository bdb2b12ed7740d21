import process from 'node:process'

/** Variables by name, as a plain object, so that tests and services never touch the process's own. */
export type Environment = Record<string, string | undefined>

/** The one place that reads the environment of the process. */
export const readEnvironment = (): Environment => ({ ...process.env })
