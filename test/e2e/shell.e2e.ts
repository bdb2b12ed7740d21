import { expect, type Page, test } from '@playwright/test'
import { signIn, TOKEN } from './sign-in.ts'

const owner = (token = TOKEN) => ({ authorization: `Bearer ${token}` })

/** Fails the test when the page threw or logged an error. */
function noErrors(page: Page): string[] {
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
  return errors
}

test.describe('signing in', () => {
  test('a stranger is sent to the login page, and after signing in to where they were going', async ({ page }) => {
    await page.goto('/logs?level=warn')
    await expect(page).toHaveURL(/\/login\?next=/)
    await page.getByLabel('Sign-in code or API key').fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await expect(page.getByRole('alert')).toBeVisible()
    await page.getByLabel('Sign-in code or API key').fill(TOKEN)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await expect(page.getByRole('heading', { name: 'Logs' })).toBeVisible()
    await expect(page).toHaveURL(/\/logs\?level=warn$/)
  })

  test('an address of another site as the next page is ignored', async ({ page }) => {
    await page.goto('/login?next=//evil.example/')
    await page.getByLabel('Sign-in code or API key').fill(TOKEN)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await expect(page).toHaveURL(/127\.0\.0\.1:\d+\/chat/)
  })

  test('a pairing link signs a second browser in once, and its code leaves the address', async ({ page, browser }) => {
    const made = await page.request.post('/api/pairings/browser', { data: {}, headers: owner() })
    const { url } = await made.json() as { url: string }
    await page.goto(url)
    await expect(page).toHaveURL(/\/chat/)
    expect(page.url()).not.toContain('code=')

    const again = await (await browser.newContext()).newPage()
    await again.goto(url)
    await expect(again.getByRole('alert')).toContainText(/used|expired|wrong/)
    expect(again.url()).not.toContain('code=')
    await again.context().close()
  })

  test('signing out ends the session', async ({ page, baseURL }) => {
    await signIn(page, baseURL)
    await page.goto('/system')
    await page.getByRole('button', { name: 'Account of owner' }).click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await expect(page).toHaveURL(/\/login/)
    await page.goto('/system')
    await expect(page).toHaveURL(/\/login/)
  })
})

test.describe('the shell', () => {
  test.beforeEach(({ page, baseURL }) => signIn(page, baseURL))

  test('every link of the navigation opens a page with a title, without errors', async ({ page }) => {
    const errors = noErrors(page)
    await page.goto('/')
    const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link')
    await expect(links.first()).toBeVisible()
    for (const name of await links.allInnerTexts()) {
      const link = page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true })
      await link.click()
      await expect(link).toHaveAttribute('aria-current', 'page')
      await expect(page).toHaveTitle(/Gatehouse/)
    }
    expect(errors).toEqual([])
  })

  test('the palette opens by keyboard, finds a page by a word for it and goes there', async ({ page }) => {
    await page.goto('/logs')
    await expect(page.getByRole('heading', { name: 'Logs' })).toBeVisible()
    await page.keyboard.press('Control+k')
    await page.getByPlaceholder('Search conversations, pages, actions').fill('memory')
    await page.keyboard.press('Enter')
    await expect(page).toHaveURL(/\/system$/)
    await expect(page.getByRole('dialog')).toHaveCount(0)
  })

  test('pairs of keys go to pages, but not while one types', async ({ page }) => {
    await page.goto('/logs')
    await page.getByLabel('Search all fields').fill('')
    await page.getByLabel('Search all fields').pressSequentially('gs')
    await expect(page).toHaveURL(/\/logs\?q=gs$/)
    await page.getByLabel('Search all fields').blur()
    await page.keyboard.press('g')
    await page.keyboard.press('s')
    await expect(page).toHaveURL(/\/system$/)
  })

  test('a chosen theme outlives a reload', async ({ page }) => {
    await page.goto('/system')
    await page.getByRole('button', { name: 'Account of owner' }).click()
    await page.getByRole('menuitem', { name: 'Dark' }).click()
    await expect(page.locator('html')).toHaveClass(/dark/)
    await page.reload()
    await expect(page.locator('html')).toHaveClass(/dark/)
  })

  test('an address without a page says so and leads back', async ({ page }) => {
    await page.goto('/nowhere')
    await expect(page.getByRole('heading', { name: 'There is nothing here' })).toBeVisible()
    await page.getByRole('link', { name: 'Go to the chat' }).click()
    await expect(page).toHaveURL(/\/chat/)
  })

  test('on a phone the menu is a drawer, and nothing is wider than the screen', async ({ page }) => {
    await page.setViewportSize({ width: 390, height: 844 })
    for (const path of ['/logs', '/system', '/settings/keys']) {
      await page.goto(path)
      await expect(page.getByRole('button', { name: 'Menu' })).toBeVisible()
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
    }
    await page.getByRole('button', { name: 'Menu' }).click()
    await page.getByRole('dialog').getByRole('link', { name: 'System' }).click()
    await expect(page).toHaveURL(/\/system$/)
    await expect(page.getByRole('dialog')).toHaveCount(0)
  })

  test('a lost connection is shown, and mends itself when asked', async ({ page }) => {
    await page.route('**/api/stream*', (route) => route.abort())
    await page.goto('/system')
    await expect(page.getByRole('button', { name: 'Connection: Offline' })).toBeVisible()
    await expect(page.getByText('The server cannot be reached.')).toBeVisible()
    await page.unroute('**/api/stream*')
    await page.getByRole('button', { name: 'Try now' }).click()
    await expect(page.getByRole('button', { name: 'Connection: Connected' })).toBeVisible()
  })

  test('a server that fails at the first look is said to fail, and tried again', async ({ page }) => {
    await page.route('**/api/auth/me', (route) => route.abort())
    await page.goto('/system')
    await expect(page.getByRole('alert')).toContainText('The server cannot be reached')
    await page.unroute('**/api/auth/me')
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect(page.getByRole('heading', { name: 'System' })).toBeVisible()
  })
})

test.describe('keys and browsers', () => {
  test.beforeEach(({ page, baseURL }) => signIn(page, baseURL))

  test('a key is shown once, works, and is refused after it was revoked', async ({ page, request }) => {
    await page.goto('/settings/keys')
    await page.getByRole('button', { name: 'New key' }).click()
    await page.getByRole('button', { name: 'Create key' }).click()
    await expect(page.getByText('Give it a name')).toBeVisible()
    await page.getByLabel('Name').fill('backup script')
    await page.getByRole('button', { name: 'Create key' }).click()
    const secret = (await page.getByLabel('The new key').innerText()).trim()
    expect(secret).toMatch(/^gk_/)
    await page.keyboard.press('Escape')
    await expect(page.getByLabel('The new key')).toBeVisible()
    await page.getByRole('button', { name: 'I have copied it' }).click()

    expect((await request.get('/api/auth/me', { headers: owner(secret) })).status()).toBe(200)
    await page.reload()
    await expect(page.getByRole('cell', { name: /backup script/ }).first()).toBeVisible()
    expect(await page.content()).not.toContain(secret)

    await page.getByRole('button', { name: 'Revoke backup script' }).click()
    await page.getByRole('button', { name: 'Revoke key' }).click()
    await expect(page.getByText('The key is revoked')).toBeVisible()
    expect((await request.get('/api/auth/me', { headers: owner(secret) })).status()).toBe(401)
  })

  test('another browser is paired by the link that is shown, and the dialog notices', async ({ page, browser }) => {
    await page.goto('/settings/keys')
    await page.getByRole('button', { name: 'Pair a browser' }).click()
    await expect(page.getByRole('img', { name: 'The sign-in link as a QR code' })).toBeVisible()
    const link = await page.getByRole('dialog').locator('code[title]').getAttribute('title')
    const other = await (await browser.newContext()).newPage()
    await other.goto(link!)
    await expect(other).toHaveURL(/\/chat/)
    await expect(page.getByText(/is signed in/)).toBeVisible({ timeout: 10_000 })
    await other.context().close()
  })
})

test('a browser that is signed out from elsewhere is led to the login page', async ({ page, baseURL, request }) => {
  await signIn(page, baseURL)
  await page.goto('/system')
  await expect(page.getByRole('button', { name: 'Connection: Connected' })).toBeVisible()
  const me = await (await page.request.get('/api/auth/me')).json() as { id: string }
  await request.delete(`/api/browsers/${me.id}`, { headers: owner() })
  await expect(page).toHaveURL(/\/login\?next=%2Fsystem$/, { timeout: 10_000 })
})

test.describe('logs and system', () => {
  test.beforeEach(({ page, baseURL }) => signIn(page, baseURL))

  test('filters live in the address and an empty result says how to see more', async ({ page }) => {
    await page.goto('/logs')
    await page.getByLabel('Search all fields').fill('nothing has this in it')
    await expect(page).toHaveURL(/q=nothing/)
    await expect(page.getByText('Nothing matches')).toBeVisible()
    await page.getByRole('link', { name: 'Clear the filters' }).click()
    await expect(page).toHaveURL(/\/logs$/)
    await expect(page.getByLabel('Search all fields')).toHaveValue('')
    await expect(page.getByRole('list', { name: 'Log entries' })).toBeVisible()
  })

  test('an entry opens to all its fields', async ({ page }) => {
    await page.goto('/logs?event=server.listening')
    await page.getByRole('list', { name: 'Log entries' }).getByRole('button').first().click()
    await expect(page.getByText('"event": "server.listening"')).toBeVisible()
  })

  test('the snapshot moves on by itself and its charts can be read as a table', async ({ page }) => {
    await page.goto('/system')
    await page.getByText('The charts as a table').click()
    const rows = page.getByRole('region', { name: 'Figures of the last minute' }).locator('tbody tr')
    await expect(rows.first()).toBeVisible()
    await expect.poll(() => rows.count(), { timeout: 10_000 }).toBeGreaterThan(1)
  })

  test('a restart asks first and is followed until the server is back', async ({ page }) => {
    await page.goto('/system')
    await expect(page.getByRole('button', { name: 'Connection: Connected' })).toBeVisible()
    await page.getByRole('button', { name: 'Restart' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click()
    await expect(page.getByText('Gatehouse is back')).toBeVisible({ timeout: 20_000 })
  })
})
