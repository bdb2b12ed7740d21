import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from '@playwright/test'
import { signIn } from './sign-in.ts'

/** A program that wants in: its page has a link to Gatehouse, and the browser comes back to it. */
let program: Server
let origin: string
let link = ''
test.beforeAll(async () => {
  program = createServer((request, response) => {
    response.setHeader('content-type', 'text/html')
    const { pathname, searchParams } = new URL(request.url!, origin)
    response.end(
      pathname === '/callback'
        ? `<h1>Back</h1><p>${searchParams.get('code') ? 'With a code' : searchParams.get('error')}</p>`
        : `<a href="${link.replaceAll('&', '&amp;')}">Connect</a>`,
    )
  })
  await new Promise<void>((done) => program.listen(0, 'localhost', done))
  // Another site than 127.0.0.1, so that the browser leaves our cookie out at first.
  origin = `http://localhost:${(program.address() as AddressInfo).port}`
})
test.afterAll(() => program.close())

test.beforeEach(async ({ request, baseURL }) => {
  const registered = await request.post('/api/oauth/register', {
    data: { client_name: 'Garden <i>planner</i>', redirect_uris: [`${origin}/callback`] },
  })
  const { client_id } = await registered.json() as { client_id: string }
  const code_challenge = createHash('sha256').update(randomBytes(32)).digest('base64url')
  link = `${baseURL}/api/oauth/authorize?${new URLSearchParams({
    client_id,
    redirect_uri: `${origin}/callback`,
    response_type: 'code',
    code_challenge,
    code_challenge_method: 'S256',
    scope: 'read chat',
    state: 'x',
  })}`
})

test('the owner lets a program in that sent him from another site', async ({ page, baseURL }) => {
  await signIn(page, baseURL)
  await page.goto(origin)
  await page.getByRole('link', { name: 'Connect' }).click()
  await expect(page.getByRole('heading', { name: 'Let Garden <i>planner</i> in?' })).toBeVisible()
  await expect(page.getByText(origin.replace('http://', ''))).toBeVisible()
  await expect(page.getByRole('checkbox', { name: 'Everything' })).not.toBeChecked()
  await page.getByRole('checkbox', { name: 'Read conversations' }).uncheck()
  await page.getByLabel('For').selectOption('30 days')
  await page.getByRole('button', { name: 'Let it in' }).click()
  await expect(page.getByText('With a code')).toBeVisible()
})

test('the program hears of a no', async ({ page, baseURL }) => {
  await signIn(page, baseURL)
  await page.goto(origin)
  await page.getByRole('link', { name: 'Connect' }).click()
  await page.getByRole('button', { name: 'No', exact: true }).click()
  await expect(page.getByText('access_denied')).toBeVisible()
})

test('a browser that nobody signed in is told to', async ({ page }) => {
  await page.goto(origin)
  await page.getByRole('link', { name: 'Connect' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in first' })).toBeVisible()
})
