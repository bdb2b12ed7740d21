import { ServiceDefinition } from '../../../shared/plugin-protocol.ts'
import { defineKind } from './kind.ts'

const START_MS = 30_000

/** Something that runs beside the calls, and is told once that it may. */
export const service = defineKind({
  definition: ServiceDefinition,
  create: ({ definition: { name }, call, onProblem }) => ({
    async start(): Promise<void> {
      await call({ method: 'start', input: {}, timeoutMs: START_MS }).catch((error: Error) =>
        onProblem(`its service ${name} did not start: ${error.message}`)
      )
    },
  }),
  begin: ({ start }) => void start(),
})
