import type { Browser } from '@playwright/test'
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { signIn, TOKEN } from './sign-in.ts'

const root = join(import.meta.dirname, '../..')

export type OwnServer = Awaited<ReturnType<typeof startOwnServer>>

/**
 * A server with a home of its own and one browser, for a file whose tests follow each other. `prepare` gets the empty
 * home before the start. The browser is signed in as the owner, unless a test begins with the link of the first start.
 */
export async function startOwnServer(
  browser: Browser,
  { prepare, first = false }: { prepare?: (home: string) => Promise<void>; first?: boolean } = {},
) {
  const home = await mkdtemp(join(tmpdir(), 'gatehouse-own-'))
  await prepare?.(home)
  const server = spawn('node', ['server/main.ts'], {
    cwd: root,
    env: {
      ...process.env,
      PATH: [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter),
      GATEHOUSE_HOME: home,
      PORT: '0',
      ...(first ? {} : { GATEHOUSE_TOKEN: TOKEN }),
      OPENAI_API_KEY: '',
      ANTHROPIC_API_KEY: '',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = await saidBy(server, first ? /(http\S+)\/login#code=\S+/ : /address {2}(http\S+)/)
  const baseURL = said[1]!
  const context = await browser.newContext({ baseURL, viewport: { width: 1280, height: 800 }, locale: 'en-GB' })
  const page = await context.newPage()
  if (!first) await signIn(page, baseURL)

  return {
    home,
    context,
    page,
    /** What the first start printed. */
    link: said[0],

    /** A request of the owner's own, beside the page. */
    async call(method: string, path: string, data?: unknown): Promise<unknown> {
      const response = await page.request.fetch(path, {
        method,
        headers: { authorization: `Bearer ${TOKEN}` },
        ...(data === undefined ? {} : { data }),
      })
      assert.ok(response.ok(), `${method} ${path}: ${await response.text()}`)
      return await response.json()
    },

    async close(): Promise<void> {
      await context.close()
      server.kill('SIGTERM')
      if (server.exitCode === null) await once(server, 'exit')
      await rm(home, { recursive: true, force: true })
    },
  }
}

/** The first match in what it prints. What follows is read on, for a full pipe would stop the server. */
function saidBy(child: ChildProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let out = ''
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      out += text
      const found = pattern.exec(out)
      if (found) resolve(found)
    })
    child.on('exit', () => reject(new Error(`The server ended before it listened:\n${out}`)))
  })
}
