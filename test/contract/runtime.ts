import assert from 'node:assert/strict'
import { connect, type Socket as TcpSocket } from 'node:net'
import { describe, it } from 'node:test'
import type { Child, Listening, Runtime, ServeOptions, Socket, SocketHandlers } from '../../server/runtime/port.ts'

const MIB = 1024 * 1024

/** What every implementation of `Runtime` keeps; run it on the runtime that it is for. */
export function runtimeContract(runtime: Runtime): void {
  describe(`serve on ${runtime.name}`, () => {
    it('answers HTTP and says who asks', async () => {
      await using server = await serving(runtime, {
        fetch: async (request, info) =>
          Response.json({ path: new URL(request.url).pathname, body: await request.text(), ...spread(info) }),
      })
      const response = await fetch(`${server.url}/a/b`, { method: 'POST', body: 'hello' })
      assert.deepEqual(await response.json(), { path: '/a/b', body: 'hello', remoteAddress: '127.0.0.1' })
    })

    it('names the address that is taken', async () => {
      await using server = await serving(runtime, {})
      await assert.rejects(
        runtime.serve({ ...defaults, port: server.port }),
        (error: Error & { code?: string }) =>
          error.code === 'EADDRINUSE' && error.message.includes(`127.0.0.1:${server.port} is taken`),
      )
    })

    it('does not cut a stream that is silent for 13 seconds', async () => {
      const body = async function* () {
        yield 'before'
        await sleep(13_000)
        yield ' after'
      }
      await using server = await serving(runtime, { fetch: () => new Response(stream(body())) })
      assert.equal(await (await fetch(server.url)).text(), 'before after')
    })

    it('aborts the request and cancels its stream when the client goes', async () => {
      const aborted = Promise.withResolvers<void>()
      const cancelled = Promise.withResolvers<void>()
      await using server = await serving(runtime, {
        fetch(request) {
          request.signal.addEventListener('abort', () => aborted.resolve())
          return new Response(
            new ReadableStream({
              start: (controller) => controller.enqueue(new TextEncoder().encode('x')),
              cancel: () => cancelled.resolve(),
            }),
          )
        },
      })
      const client = new AbortController()
      const response = await fetch(server.url, { signal: client.signal })
      await response.body!.getReader().read()
      client.abort()
      await soon(Promise.all([aborted.promise, cancelled.promise]))
    })

    it('does not abort a request that was answered', async () => {
      const signals: AbortSignal[] = []
      await using server = await serving(runtime, {
        fetch(request) {
          signals.push(request.signal)
          return new Response('ok')
        },
      })
      await (await fetch(server.url)).text()
      await sleep(100)
      assert.deepEqual(signals.map((signal) => signal.aborted), [false])
    })

    it('stops pulling from a stream whose client does not read', async () => {
      let pulled = 0
      const chunk = new Uint8Array(64 * 1024)
      await using server = await serving(runtime, {
        fetch: () =>
          new Response(
            new ReadableStream({
              pull(controller) {
                pulled += chunk.byteLength
                if (pulled > 256 * MIB) return controller.close()
                controller.enqueue(chunk)
              },
            }, { highWaterMark: 0 }),
          ),
      })
      const client = await tcp(server.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      client.pause()
      await sleep(500)
      assert.ok(pulled < 32 * MIB, `${pulled} bytes were pulled`)
      client.destroy()
    })

    it('answers a plain request that offers another upgrade', async () => {
      await using server = await serving(runtime, { fetch: () => new Response('plain') })
      const head = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n'
      const client = await tcp(server.port, head)
      assert.match(await textOf(client), /^HTTP\/1\.1 200[^]*plain/)
    })
  })

  describe(`WebSocket on ${runtime.name}`, () => {
    it('echoes text and binary, and closes once with the code of the peer', async () => {
      const closes: [number, string][] = []
      await using server = await serving(runtime, {
        upgrade: async () => ({
          open: () => {},
          message: (socket, data) => socket.send(data),
          close: (_, code, reason) => void closes.push([code, reason]),
        }),
      })
      const client = await dial(server.port)
      client.send('grüß')
      assert.equal((await next(client)).data, 'grüß')
      client.send(new Uint8Array([0, 255, 7]))
      assert.deepEqual([...new Uint8Array((await next(client)).data as ArrayBuffer)], [0, 255, 7])
      client.close(4001, 'bye')
      await until(() => closes.length > 0)
      await sleep(50)
      assert.deepEqual(closes, [[4001, 'bye']])
    })

    it('sends what is sent while opening, and its own close code', async () => {
      await using server = await serving(runtime, {
        upgrade: async () => ({
          ...quiet,
          open(socket) {
            socket.send('welcome')
            socket.close(1012, 'restart')
            socket.send('never')
          },
        }),
      })
      const client = new WebSocket(`ws://127.0.0.1:${server.port}/`)
      const seen: unknown[] = []
      client.onmessage = ({ data }) => seen.push(data)
      const code = await new Promise((resolve) => client.onclose = (event) => resolve([event.code, event.reason]))
      assert.deepEqual([seen, code], [['welcome'], [1012, 'restart']])
    })

    it('waits for upgrade and sends its refusal as plain HTTP', async () => {
      await using server = await serving(runtime, {
        upgrade: async (request, info) => {
          await sleep(20)
          const text = `${new URL(request.url).search} ${request.headers.get('origin')} ${info.remoteAddress}`
          return new Response(text, { status: 403, headers: { 'x-why': 'because' } })
        },
      })
      const answer = await textOf(await tcp(server.port, handshake('/ws?a=1', 'Origin: http://evil\r\n')))
      assert.match(answer, /^HTTP\/1\.1 403 /)
      assert.match(answer, /x-why: because/i)
      assert.match(answer, /\?a=1 http:\/\/evil 127\.0\.0\.1/)
    })

    it('answers a thrown upgrade with 500 and goes on', async () => {
      await using server = await serving(runtime, {
        upgrade: () => Promise.reject(new Error('secret detail')),
        fetch: () => new Response('alive'),
      })
      const answer = await textOf(await tcp(server.port, handshake('/')))
      assert.match(answer, /^HTTP\/1\.1 500 /)
      assert.doesNotMatch(answer, /secret detail/)
      assert.equal(await (await fetch(server.url)).text(), 'alive')
    })

    it('picks the first subprotocol that is offered', async () => {
      await using server = await serving(runtime, {})
      const client = await dial(server.port, ['gatehouse.v1', 'other'])
      assert.equal(client.protocol, 'gatehouse.v1')
      client.close()
    })

    it('refuses a message above 16 MiB and takes one below', { timeout: 60_000 }, async () => {
      const sizes: number[] = []
      const closed = Promise.withResolvers<void>()
      await using server = await serving(runtime, {
        upgrade: async () => ({
          open: () => {},
          message: (_, data) => void sizes.push(data.length),
          close: () => closed.resolve(),
        }),
      })
      const client = await dial(server.port)
      client.send(new Uint8Array(15 * MIB))
      await until(() => sizes.length === 1)
      client.send(new Uint8Array(17 * MIB))
      await soon(closed.promise)
      assert.deepEqual(sizes, [15 * MIB])
    })

    it('counts the bytes that a peer does not take, and lets go of it', async () => {
      const opened = Promise.withResolvers<Socket>()
      const closes: number[] = []
      await using server = await serving(runtime, {
        upgrade: async () => ({
          ...quiet,
          open: (socket) => opened.resolve(socket),
          close: (_, code) => void closes.push(code),
        }),
      })
      const client = await tcp(server.port, handshake('/'))
      client.pause()
      const socket = await opened.promise
      assert.equal(socket.bufferedAmount, 0)
      for (let i = 0; i < 32; i++) socket.send(new Uint8Array(MIB))
      await sleep(100)
      assert.ok(socket.bufferedAmount > 16 * MIB, `only ${socket.bufferedAmount} bytes wait`)
      socket.terminate()
      await until(() => closes.length > 0)
      socket.send('after the end')
      socket.close()
      socket.terminate()
      await sleep(20)
      assert.equal(closes.length, 1)
      client.destroy()
    })

    it(
      'survives resets during the handshake and 1,000 connections that drop at once',
      { timeout: 60_000 },
      async () => {
        let open = 0
        let opens = 0
        await using server = await serving(runtime, {
          upgrade: async () => {
            await sleep(1)
            return { ...quiet, open: () => void (open++, opens++), close: () => void open-- }
          },
        })
        for (let i = 0; i < 1000; i += 50) {
          await Promise.all(Array.from({ length: 50 }, async (_, n) => {
            const client = await tcp(server.port, handshake('/'))
            if (n % 2 === 0) await new Promise((resolve) => client.once('data', resolve))
            client.resetAndDestroy()
          }))
        }
        await until(() => opens >= 500 && open === 0)
        const client = await dial(server.port)
        client.close()
      },
    )
  })

  describe(`stop on ${runtime.name}`, () => {
    it('lets a slow request finish, refuses new ones, and does not wait for idle connections', async () => {
      const arrived = Promise.withResolvers<void>()
      const server = await serving(runtime, {
        fetch: async (request) => {
          if (request.url.endsWith('/slow')) {
            arrived.resolve()
            await sleep(300)
          }
          return new Response('done')
        },
      })
      await (await fetch(server.url)).text()
      const slow = fetch(`${server.url}/slow`).then((response) => response.text())
      await arrived.promise
      const before = Date.now()
      const stopped = server.stop(30_000)
      assert.equal(await slow, 'done')
      await stopped
      assert.ok(Date.now() - before < 15_000, `the stop took ${Date.now() - before} ms`)
      await assert.rejects(tcp(server.port, ''))
    })

    it('ends within its grace time although a stream and a WebSocket stay open', async () => {
      const closes: number[] = []
      const server = await serving(runtime, {
        fetch: () => new Response(new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(1)) })),
        upgrade: async () => ({ ...quiet, close: (_, code) => void closes.push(code) }),
      })
      const client = await dial(server.port)
      const told = new Promise<number>((resolve) => client.onclose = ({ code }) => resolve(code))
      const abort = new AbortController()
      const response = await fetch(server.url, { signal: abort.signal })
      const reading = response.body!.getReader()
      await reading.read()
      const before = Date.now()
      await server.stop(400)
      assert.ok(Date.now() - before < 10_000, `the stop took ${Date.now() - before} ms`)
      assert.equal(await told, 1001)
      await until(() => closes.length === 1)
      abort.abort()
      await reading.closed.catch(() => {})
    })
  })

  describe(`spawn on ${runtime.name}`, () => {
    it('echoes through a child and tells its exit code', async () => {
      const child = await runtime.spawn('sh', ['-c', 'cat; echo oops >&2; exit 7'])
      const [out, err] = [collect(child.stdout), collect(child.stderr)]
      await child.write(new TextEncoder().encode('hello\n'))
      await child.closeStdin()
      assert.deepEqual(await child.exited, { code: 7, signal: null })
      assert.deepEqual([await out, await err], ['hello\n', 'oops\n'])
    })

    it('gives the child its folder and only the environment that is named', async () => {
      const script = 'pwd; echo "$ONLY-${HOME-none}"'
      const child = await runtime.spawn('/bin/sh', ['-c', script], { cwd: '/', env: { ONLY: 'this' } })
      assert.equal(await collect(child.stdout), '/\nthis-none\n')
      await child.exited
    })

    it('throws ENOENT for a program that does not exist', async () => {
      await assert.rejects(
        runtime.spawn('/no/such/program', []),
        (error: Error & { code?: string }) => error.code === 'ENOENT' && error.message.includes('/no/such/program'),
      )
    })

    it('loses nothing of a big output, even when read after the exit', async () => {
      const big = await runtime.spawn('sh', ['-c', 'head -c 5000000 /dev/zero'])
      assert.equal((await collect(big.stdout)).length, 5_000_000)
      const late = await runtime.spawn('sh', ['-c', 'head -c 60000 /dev/zero; head -c 50000 /dev/zero >&2'])
      await late.exited
      await sleep(50)
      assert.deepEqual([(await collect(late.stdout)).length, (await collect(late.stderr)).length], [60_000, 50_000])
    })

    it('holds back a writer whose child does not read, and fails it when the child dies', async () => {
      const child = await runtime.spawn('sleep', ['30'])
      let written = 0
      const writing = (async () => {
        for (;; written += 65536) await child.write(new Uint8Array(65536))
      })()
      writing.catch(() => {})
      await sleep(300)
      assert.ok(written < 2 * MIB, `${written} bytes were taken`)
      child.kill('SIGKILL')
      assert.deepEqual(await child.exited, { code: null, signal: 'SIGKILL' })
      await assert.rejects(soon(writing), (error: Error & { code?: string }) => error.code === 'EPIPE')
      await assert.rejects(
        soon(child.write(new Uint8Array(1))),
        (error: Error & { code?: string }) => error.code === 'EPIPE',
      )
      child.kill()
      child.killGroup()
      await soon(child.closeStdin())
    })

    it('tells the exit although a grandchild holds the pipes, and kills it with the group', async () => {
      const child = await runtime.spawn('sh', ['-c', 'sleep 60 & echo $!; exit 0'])
      assert.deepEqual(await soon(child.exited), { code: 0, signal: null })
      const grandchild = Number(await firstLine(child))
      assert.ok(await alive(runtime, grandchild))
      child.killGroup('SIGKILL')
      for (let i = 0; i < 500 && await alive(runtime, grandchild); i++) await sleep(20)
      assert.equal(await alive(runtime, grandchild), false)
    })

    it('leaves a child that ignores SIGTERM to SIGKILL', async () => {
      const child = await runtime.spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.1; done'])
      assert.equal(await firstLine(child), 'ready')
      child.kill('SIGTERM')
      await sleep(150)
      child.killGroup('SIGKILL')
      assert.deepEqual(await soon(child.exited), { code: null, signal: 'SIGKILL' })
    })
  })
}

const quiet: SocketHandlers = { open: () => {}, message: () => {}, close: () => {} }

const defaults: ServeOptions = {
  hostname: '127.0.0.1',
  port: 0,
  fetch: () => new Response('ok'),
  upgrade: async () => quiet,
}

async function serving(runtime: Runtime, options: Partial<ServeOptions>) {
  const server: Listening = await runtime.serve({ ...defaults, ...options })
  return {
    port: server.port,
    url: `http://127.0.0.1:${server.port}`,
    stop: server.stop,
    [Symbol.asyncDispose]: () => server.stop(200),
  }
}

const spread = (info: { remoteAddress: string }) => ({ remoteAddress: info.remoteAddress })

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function soon<T>(promise: Promise<T>, ms = 20_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => timer = setTimeout(() => reject(new Error(`not in ${ms} ms`)), ms))
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

async function until(holds: () => boolean, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !holds();) {
    if (Date.now() > end) assert.fail(`still not so after ${ms} ms: ${holds}`)
    await sleep(10)
  }
}

const stream = (chunks: AsyncGenerator<string>) =>
  new ReadableStream({
    async pull(controller) {
      const { done, value } = await chunks.next()
      if (done) return controller.close()
      controller.enqueue(new TextEncoder().encode(value))
    },
  })

const handshake = (path: string, headers = '') =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${headers}` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

function tcp(port: number, send: string): Promise<TcpSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(send)
      resolve(socket)
    })
    socket.on('error', reject)
  })
}

/** Everything until the end, or until the server falls silent on a connection that it keeps. */
async function textOf(socket: TcpSocket): Promise<string> {
  let text = ''
  socket.on('data', (chunk) => text += chunk)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await Promise.race([closed, until(() => text !== '' || socket.destroyed).then(() => sleep(500))])
  socket.destroy()
  return text
}

function dial(port: number, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, protocols)
  socket.binaryType = 'arraybuffer'
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket)
    socket.onerror = () => reject(new Error('the handshake failed'))
  })
}

const next = (socket: WebSocket) => soon(new Promise<MessageEvent>((resolve) => socket.onmessage = resolve))

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true })
  return text
}

async function firstLine(child: Child): Promise<string> {
  for await (const chunk of child.stdout) return new TextDecoder().decode(chunk).trim()
  return ''
}

/** A zombie counts as gone: who reaps orphans may be late. */
async function alive(runtime: Runtime, pid: number): Promise<boolean> {
  const ps = await runtime.spawn('ps', ['-o', 'stat=', '-p', String(pid)])
  return /^[^Z\s]/.test((await collect(ps.stdout)).trim())
}
