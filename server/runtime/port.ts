/**
 * What differs between Node, Deno and Bun, and nothing else (design §4).
 * `current.ts` picks the implementation; no other file names a runtime.
 */
export interface Runtime {
  readonly name: 'node' | 'deno' | 'bun'
  readonly version: string
  /**
   * Listens for HTTP. Streams are never cut for being idle. A WebSocket upgrade is offered for the paths that
   * `upgrade` accepts; everything else goes to `fetch`. Throws when the address is taken, naming it.
   */
  serve(options: ServeOptions): Promise<Listening>
  /** Starts a child process; throws an error with code `ENOENT` when the program does not exist. */
  spawn(command: string, args: string[], options?: SpawnOptions): Promise<Child>
  /** Calls back on SIGTERM and SIGINT. Returns the function that stops listening for them. */
  onSignal(listener: (signal: 'SIGTERM' | 'SIGINT') => void): () => void
}

export type ServeOptions = {
  hostname: string
  /** 0 picks a free one. */
  port: number
  fetch(request: Request, info: RequestInfo): Response | Promise<Response>
  /**
   * Asked for each request with `Upgrade: websocket`. A `Response` refuses (401, 403…); handlers accept.
   */
  upgrade(request: Request, info: RequestInfo): Promise<Response | SocketHandlers>
}

export type RequestInfo = {
  /** Address of the peer, `127.0.0.1` or `::1` or…; empty when the runtime can't tell. */
  remoteAddress: string
}

export type SocketHandlers = {
  open(socket: Socket): void
  message(socket: Socket, data: string | Uint8Array): void
  /** Called exactly once after `open`, however the connection ends. */
  close(socket: Socket, code: number, reason: string): void
}

/** A server-side WebSocket. Calls after it closed do nothing. */
export interface Socket {
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
  /** Cuts the connection without a closing handshake. */
  terminate(): void
  /** Bytes accepted by `send` and not yet taken by the peer. */
  readonly bufferedAmount: number
}

export type Listening = {
  hostname: string
  port: number
  /**
   * Stops accepting, lets requests in flight finish within `graceMs`, then cuts what is left.
   * Open streams must have been told before (the app's own closers); idle keep-alive connections are closed at once.
   */
  stop(graceMs: number): Promise<void>
}

export type SpawnOptions = {
  cwd?: string
  /** The whole environment of the child; nothing is inherited when given. */
  env?: Record<string, string>
  /** Own process group, so that `killGroup` reaches grandchildren. Default true. */
  group?: boolean
}

export interface Child {
  readonly pid: number
  /** Resolves when the child took the bytes (back-pressure); rejects when it is gone. */
  write(bytes: Uint8Array): Promise<void>
  closeStdin(): Promise<void>
  readonly stdout: AsyncIterable<Uint8Array>
  readonly stderr: AsyncIterable<Uint8Array>
  readonly exited: Promise<{ code: number | null; signal: string | null }>
  /** Does nothing when the child is gone. */
  kill(signal?: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): void
  killGroup(signal?: 'SIGTERM' | 'SIGKILL' | 'SIGINT'): void
}
