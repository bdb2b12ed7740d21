import { defineConfig, devices } from '@playwright/test'
import chromium from '@sparticuz/chromium'
import { existsSync, mkdtempSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { TOKEN } from './sign-in.ts'

/** An installed Chromium starts faster than the packed one, which needs nothing but libnss3. */
const installed = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
  .find((path) => path !== undefined && existsSync(path))

// Workers load this file again; only the first load chooses the port and makes the home.
const port = process.env.E2E_PORT ??= await freePort()
process.env.E2E_HOME ??= mkdtempSync(join(tmpdir(), 'gatehouse-e2e-'))

const root = join(import.meta.dirname, '../..')

export default defineConfig({
  testDir: '.',
  testMatch: '*.e2e.ts',
  outputDir: '../../test-results',
  reporter: 'list',
  timeout: 90_000,
  // What is waited for is a condition; a machine with much to do takes its time.
  expect: { timeout: 20_000 },
  workers: 1,
  // What passes only then is named at the end of the run.
  retries: 1,
  globalTeardown: './teardown.ts',
  use: {
    baseURL: `http://127.0.0.1:${port}`,
    ...devices['Desktop Chrome'],
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
    launchOptions: {
      executablePath: installed ?? await chromium.executablePath(),
      args: [
        '--no-sandbox',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--disable-gpu',
      ],
    },
  },
  webServer: {
    command: 'node server/main.ts',
    cwd: root,
    env: {
      // The Node of this repository, whichever one runs the tests.
      PATH: [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter),
      PORT: port,
      GATEHOUSE_HOME: process.env.E2E_HOME,
      GATEHOUSE_TOKEN: TOKEN,
    },
    url: `http://127.0.0.1:${port}/api/health`,
    reuseExistingServer: false,
    gracefulShutdown: { signal: 'SIGTERM', timeout: 5000 },
  },
})

function freePort(): Promise<string> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(String(port)))
    })
  })
}
