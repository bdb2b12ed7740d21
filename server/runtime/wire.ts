/** Bytes of the largest WebSocket message that is taken; a longer one closes the connection with 1009. */
export const MAX_MESSAGE = 16 * 1024 * 1024

/** Whether a request asks to become a WebSocket. */
export const wantsWebSocket = (method: string, upgrade: string | null | undefined): boolean =>
  method === 'GET' && upgrade?.toLowerCase() === 'websocket'

/** The first subprotocol that a client offers; browsers refuse a handshake that picks none of theirs. */
export const firstProtocol = (header: string | null): string | undefined => header?.split(',')[0]?.trim() || undefined

/** An IPv4 peer of a dual-stack socket reads as IPv4. */
export const peerAddress = (address: string | undefined): string => address?.replace(/^::ffff:(?=\d+\.)/i, '') ?? ''

/** Names the address that could not be listened on; keeps the runtime's error code. */
export function listenError(error: unknown, hostname: string, port: number): Error {
  const code = (error as { code?: string }).code
  const where = `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`
  const reasons: Record<string, string> = {
    EADDRINUSE: `${where} is taken by another program. Stop it, or choose another port with PORT.`,
    EACCES: `${where} may not be listened on by this user. Choose a port above 1023 with PORT.`,
    EADDRNOTAVAIL: `${where} is no address of this machine. Set HOST to one that is.`,
  }
  const message = reasons[code ?? ''] ?? `Cannot listen on ${where}: ${(error as Error).message}`
  return Object.assign(new Error(message, { cause: error }), { code })
}

/** A program that does not exist, with the code that callers look for; any other error unchanged. */
export function spawnError(error: unknown, command: string): unknown {
  if ((error as { code?: string }).code !== 'ENOENT') return error
  const message = `The program ${command} was not found, or its working folder does not exist`
  return Object.assign(new Error(message, { cause: error }), { code: 'ENOENT' })
}

/** What `Child.write` rejects with once the child is gone, on every runtime. */
export const childGone = (cause?: unknown): Error =>
  Object.assign(new Error('The child process takes no more input', { cause }), { code: 'EPIPE' })

/**
 * Signals a whole process group. The group outlives its leader while it has members, so this also reaches
 * grandchildren of a child that is gone; one without members is no error.
 */
export function signalGroup(pid: number, signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as { code?: string }).code !== 'ESRCH') throw error
  }
}

/** Resolves after `ms`, or as soon as `done` settles. */
export async function within(ms: number, done: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  await Promise.race([done, new Promise((resolve) => (timer = setTimeout(resolve, ms)))])
  clearTimeout(timer)
}
