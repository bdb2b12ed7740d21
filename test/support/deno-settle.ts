// Loaded before each test file on Deno, which runs it in a worker. The threads of the database binding have one more
// word for the event loop after each result; a worker that is taken apart before it crashes the process (1 run in 12
// on a busy machine). A program that ends, such as the server, takes nothing apart: 240 runs of one had no crash.
// A busy machine gets longer: it is left when timers have come in time for a while.
const afterAll = (Reflect.get(globalThis, 'Deno') as { test: { afterAll(work: () => Promise<void>): void } }).test
  .afterAll
const TICK_MS = 50
afterAll(async () => {
  const end = performance.now() + 5000
  for (let calm = 0; calm < 8 && performance.now() < end;) {
    const before = performance.now()
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
    calm = performance.now() - before < 1.5 * TICK_MS ? calm + 1 : 0
  }
})
