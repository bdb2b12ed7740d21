import type { Runtime } from './port.ts'

/** The runtime that this process runs on. Only its own adapter is loaded. */
export async function currentRuntime(): Promise<Runtime> {
  if ('Bun' in globalThis) return (await import('./bun.ts')).bunRuntime
  if ('Deno' in globalThis) return (await import('./deno.ts')).denoRuntime
  return (await import('./node.ts')).nodeRuntime
}
