/** A comment. Bun sends no headers before the first byte, and a client waits for them. */
const HELLO = new TextEncoder().encode(': hello\n\n')

/**
 * The same response; `done` is called once, when its body was read to the end, failed, or was given up. A stream of
 * events begins at once.
 */
export function untilRead(response: Response, done: () => void): Response {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let isDone = false
  const end = (): void => {
    if (isDone) return
    isDone = true
    done()
  }
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream')
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => isStream ? controller.enqueue(HELLO) : undefined,
    async pull(controller) {
      try {
        const { done: ended, value } = await reader.read()
        if (!ended) return controller.enqueue(value)
        end()
        controller.close()
      } catch (error) {
        end()
        controller.error(error)
      }
    },
    async cancel(reason) {
      end()
      await reader.cancel(reason)
    },
  })
  return new Response(body, { status: response.status, headers: response.headers })
}
