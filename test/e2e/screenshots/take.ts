// Takes the pictures of README.md again, on the example data of `npm run dev`: `node test/e2e/screenshots/take.ts`.
import { chromium as browserType } from '@playwright/test'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import config from '../playwright.config.ts'

const root = join(import.meta.dirname, '../../..')
const home = await mkdtemp(join(tmpdir(), 'gatehouse-pictures-'))
const token = 'pictures-0123456789abcdef'
spawnSync(process.execPath, ['server/dev/seed.ts', home], { cwd: root, stdio: 'inherit' })
const server = spawn(process.execPath, ['server/main.ts', '--home', home, '--port', '0'], {
  cwd: root,
  env: { ...process.env, GATEHOUSE_TOKEN: token, OLLAMA_HOST: 'http://127.0.0.1:9' },
  stdio: ['ignore', 'pipe', 'inherit'],
})
const browser = await browserType.launch(config.use!.launchOptions)
try {
  const url = await addressOf(server.stdout!)
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 }, locale: 'en-GB', colorScheme: 'light' })
  await page.request.post(`${url}/api/auth/login`, { data: { token }, headers: { origin: url } })
  await page.goto(`${url}/chat/example-backup`)
  await page.getByText('The nightly one is a single command').scrollIntoViewIfNeeded()
  // Highlighted code arrives a little later than the text.
  await page.waitForTimeout(2000)
  await page.screenshot({ path: join(import.meta.dirname, 'chat.png') })
} finally {
  await browser.close()
  server.kill()
  await once(server, 'exit')
  await rm(home, { recursive: true, force: true })
}

async function addressOf(stdout: NodeJS.ReadableStream): Promise<string> {
  let out = ''
  for await (const text of stdout) {
    out += text
    const address = /address {2}(http\S+)/.exec(out)?.[1]
    if (!address) continue
    stdout.resume()
    return address
  }
  throw new Error(`The server ended before it listened: ${out}`)
}
