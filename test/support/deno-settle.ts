// Loaded before each test file on Deno, which runs it in a worker. The threads of the database binding have one more
// word for the event loop after each result; a worker that is taken apart before it crashes the process (1 run in 12
// on a busy machine). A program that ends, such as the server, takes nothing apart: 240 runs of one had no crash.
const afterAll = (Reflect.get(globalThis, 'Deno') as { test: { afterAll(work: () => Promise<void>): void } }).test
  .afterAll
afterAll(() => new Promise((resolve) => setTimeout(resolve, 300)))
