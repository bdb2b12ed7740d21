import { expect, type Page, test } from '@playwright/test'
import { type Agent, startAgent } from './agent.ts'
import { signIn } from './sign-in.ts'

test.describe.configure({ mode: 'serial' })
let agent: Agent

test.beforeAll(async ({ playwright, baseURL }) => {
  agent = await startAgent(playwright, baseURL)
})
test.afterAll(() => agent.close())
test.beforeEach(({ page, baseURL }) => signIn(page, baseURL))

const note = { title: 'Plants', content: 'water them' }
const cards = (page: Page) => page.getByRole('group', { name: /Approval of / })
const badge = (page: Page) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: /^Approvals/ })

test('a call that waits is counted in the menu and in the title of whatever page is open', async ({ page }) => {
  await page.goto('/logs')
  await expect(page).toHaveTitle('Logs · Gatehouse')
  const { id } = await agent.ask('count', 'notes_create', note)
  await expect(badge(page)).toHaveAccessibleName('Approvals, 1 waiting')
  await expect(page).toHaveTitle('(1) Logs · Gatehouse')
  await agent.post(`/api/approvals/${id}`, { decision: 'deny' })
  await expect(badge(page)).toHaveAccessibleName('Approvals')
  await expect(page).toHaveTitle('Logs · Gatehouse')
})

test('it is answered from the inbox by keyboard, and the conversation that waits goes on', async ({ page, context }) => {
  await agent.ask('goes-on', 'notes_create', note)
  agent.script({ kind: 'text', text: 'Written down.' })
  const chat = await context.newPage()
  await chat.goto('/chat/goes-on')
  await expect(cards(chat)).toBeVisible()
  const row = chat.getByRole('navigation', { name: 'Conversations' }).locator('[aria-current=page]')
  await expect(row).toHaveAccessibleName(/^Waits for you:/)
  await page.goto('/approvals')
  await expect(cards(page)).toContainText('"content": "water them"')
  await expect(cards(page)).toContainText('notes.create with any arguments')
  await page.keyboard.press('Alt+1')
  await expect(page.getByText('Allowed once')).toBeVisible()
  await expect(page.getByText('Nothing waits any more.')).toBeVisible()
  await expect(chat.getByText('Written down.', { exact: true }).last()).toBeVisible()
  await expect(cards(chat)).toHaveCount(0)
  await expect(row).not.toHaveAccessibleName(/^Waits for you:/)
  await page.getByRole('button', { name: 'Clear the answered' }).click()
  await expect(page.getByText('Nothing waits for you')).toBeVisible()
  await chat.close()
})

test('an answer that comes too late is told who was quicker', async ({ page }) => {
  const { id } = await agent.ask('race', 'notes_create', note)
  await page.goto('/approvals')
  await page.route(`**/api/approvals/${id}`, async (route) => {
    if (route.request().method() === 'POST') {
      await agent.post(`/api/approvals/${id}`, { decision: 'deny', reason: 'Not now' })
    }
    await route.continue()
  })
  await cards(page).getByRole('button', { name: 'Allow once' }).click()
  await expect(page.getByText('Somebody was quicker: your answer did not count.')).toBeVisible()
  await expect(page.getByRole('article')).toContainText(/Denied.*by GATEHOUSE_TOKEN, over the API/s)
})

test('what is decided elsewhere is told live, in its place, while another still waits', async ({ page }) => {
  const first = await agent.ask('live-1', 'notes_create', note)
  await agent.ask('live-2', 'notes_create', { title: 'Other', content: 'x' })
  await page.goto('/approvals')
  await expect(cards(page)).toHaveCount(2)
  await agent.post(`/api/approvals/${first.id}`, { decision: 'allow_once', reason: 'Go ahead' })
  await expect(cards(page)).toHaveCount(1)
  await expect(page.getByRole('article').first()).toContainText(/Allowed once.*“Go ahead”/s)
  await expect(page.getByRole('article').nth(1)).toContainText('"title": "Other"')
})

test('cards are reached by J and K, and a no may say why', async ({ page }) => {
  // "live-2" still waits in front of it.
  await agent.ask('why', 'notes_create', { title: 'Second', content: 'x' })
  await page.goto('/approvals')
  await expect(cards(page)).toHaveCount(2)
  await page.keyboard.press('j')
  await expect(cards(page).first().getByRole('button', { name: 'Allow once' })).toBeFocused()
  await page.keyboard.press('j')
  const second = cards(page).nth(1)
  await expect(second.getByRole('button', { name: 'Allow once' })).toBeFocused()
  await second.getByRole('button', { name: 'Say why…' }).click()
  await expect(second.getByRole('textbox', { name: 'Why' })).toBeFocused()
  await page.keyboard.type('Use the work vault')
  await page.keyboard.press('Alt+4')
  await expect(page.getByRole('article').nth(1)).toContainText(/Denied.*“Use the work vault”/s)
  await expect(cards(page)).toHaveCount(1)
})

test('a browser that may only look sees what waits, and why it can not answer', async ({ browser, baseURL }) => {
  const { secret } = await agent.post<{ secret: string }>('/api/keys', { name: 'looker', scopes: ['read'] })
  const context = await browser.newContext({ baseURL })
  const page = await context.newPage()
  await page.request.post('/api/auth/login', { data: { token: secret }, headers: { origin: baseURL! } })
  await page.goto('/approvals')
  const allow = cards(page).getByRole('button', { name: 'Allow once' })
  await expect(allow).toBeDisabled()
  await expect(allow).toHaveAttribute('title', /may only look/)
  await page.goto('/approvals/audit')
  await expect(page.getByText('Only an administrator sees the audit log')).toBeVisible()
  await context.close()
})

test('a question of the agent is answered in words', async ({ page }) => {
  await agent.ask('words', 'ask_user', { question: 'Which colour?', choices: ['red', 'blue'] })
  await page.goto('/approvals')
  const card = page.getByRole('group', { name: 'Question of the agent' })
  await card.getByRole('textbox', { name: 'Your answer' }).fill('violet')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('article').last()).toContainText(/Answered.*“violet”/s)
})

test('the history tells who answered, why and what it covers, and its filters are in the address', async ({ page }) => {
  await page.goto('/approvals/history?state=deny')
  await page.getByRole('button', { name: /Denied.*Second/ }).first().click()
  const row = page.getByRole('listitem').filter({ hasText: 'Use the work vault' })
  await expect(row).toContainText(/by Chrome on \w+, on a page/)
  await expect(row.getByRole('link')).toHaveAttribute('href', '/chat/why')
  await page.getByLabel('How it ended').click()
  await page.getByRole('option', { name: 'Allowed once' }).click()
  await expect(page).toHaveURL(/state=allow_once/)
  await expect(page.getByRole('button', { name: /Denied/ })).toHaveCount(0)
  await page.getByLabel('Tool').fill('nothing.like.it')
  await expect(page.getByText('No question fits these filters.')).toBeVisible()
})

test('the audit log is checked, searched and tells each answer', async ({ page }) => {
  await page.goto('/approvals/audit?action=approval.')
  await expect(page.getByRole('region', { name: 'State of the log' })).toContainText('Unchanged.')
  const log = page.getByRole('list', { name: 'Audit log' })
  await expect(log.getByRole('button', { name: /Denied/ }).first()).toBeVisible()
  await page.getByLabel('Who').fill('chrome')
  await expect(page).toHaveURL(/actor=chrome/)
  await expect(log.getByRole('button', { name: /GATEHOUSE_TOKEN/ })).toHaveCount(0)
  await log.getByRole('button', { name: /Denied.*Use the work vault/ }).first().click()
  await expect(log).toContainText('"action": "approval.deny"')
})

test('older entries of the audit log are read below the newest, which come in by themselves', async ({ page }) => {
  for (let i = 0; i < 51; i++) await agent.put('/api/tool-rules', { rules: [] })
  await page.goto('/approvals/audit?action=tool_rules.changed')
  const entries = page.getByRole('list', { name: 'Audit log' }).getByRole('listitem')
  await expect(entries).toHaveCount(50)
  await page.getByRole('button', { name: 'Show older' }).click()
  await expect.poll(() => entries.count()).toBeGreaterThan(50)
  const before = await entries.count()
  await agent.put('/api/tool-rules', { rules: [] })
  await expect(entries).toHaveCount(before + 1)
})

test('on a phone the menu shows that something waits, and nothing is wider than the screen', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  for (const path of ['/approvals', '/approvals/history', '/approvals/rules', '/approvals/audit']) {
    await page.goto(path)
    await expect(page.getByRole('button', { name: 'Menu, 1 approvals waiting' })).toBeVisible()
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  }
})
