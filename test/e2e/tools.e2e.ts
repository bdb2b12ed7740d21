import { expect, test } from '@playwright/test'
import { type Agent, startAgent } from './agent.ts'
import { signIn } from './sign-in.ts'

test.describe.configure({ mode: 'serial' })
let agent: Agent

test.beforeAll(async ({ playwright, baseURL }) => {
  agent = await startAgent(playwright, baseURL)
})
test.afterAll(() => agent.close())
test.beforeEach(({ page, baseURL }) => signIn(page, baseURL))

test('tools are found by words and filters, which the address keeps', async ({ page }) => {
  await page.goto('/tools')
  const list = page.getByRole('list', { name: 'Tools of Gatehouse' })
  await expect(list.getByRole('link', { name: /shell\.run.*Off/ })).toBeVisible()
  await page.getByLabel('Search tools').fill('notes new')
  await expect(page).toHaveURL(/q=notes\+new/)
  await expect(list.getByRole('link')).toHaveText([/notes\.create/])
  await page.reload()
  await expect(list.getByRole('link')).toHaveCount(1)
  await list.getByRole('link').click()
  await expect(page.getByRole('heading', { name: 'notes.create' })).toBeVisible()
  await page.getByRole('link', { name: 'All tools' }).click()
  await expect(page).toHaveURL(/q=notes\+new/)
  await page.getByLabel('Search tools').fill('nothing is like this')
  await expect(page.getByText('No tool fits these filters.')).toBeVisible()
})

test('a tool tells what applies and why, and its last calls with their conversation', async ({ page }) => {
  agent.script(
    { kind: 'tool', name: 'math_evaluate', arguments: { expression: '6*7' } },
    { kind: 'text', text: 'Done.' },
  )
  await agent.put('/api/tool-rules', {
    rules: [{ decision: 'ask', tool: 'math.*', when: "channel != ''" }, { decision: 'deny', tool: 'web.*' }],
  })
  await page.goto('/tools?tool=math.evaluate')
  await expect(page.getByText('It only reads.')).toBeVisible()
  await expect(page.getByRole('link', { name: "channel != ''" })).toBeVisible()
  await agent.say('sum', 'Calculate', true)
  const calls = page.getByRole('list', { name: 'Last calls of math.evaluate' })
  await expect(calls.getByRole('link').first()).toHaveAttribute('href', '/chat/sum')
  await expect(calls.getByRole('listitem').first()).toContainText(/ok.*\{"expression":"6\*7"\}/s)

  await page.goto('/tools?tool=web.fetch')
  await page.getByRole('link', { name: 'Show the rule' }).click()
  await expect(page).toHaveURL(/\/approvals\/rules\?rule=/)
})

test('a tool is tried by a form that is drawn from its schema, and marks what is missing', async ({ page }) => {
  await page.goto('/tools?tool=math.evaluate')
  const form = page.getByRole('form', { name: 'Arguments of math.evaluate' })
  await form.getByRole('button', { name: 'Run' }).click()
  await expect(form.getByLabel('expression')).toBeFocused()
  await expect(form.getByLabel('expression')).toHaveAccessibleDescription(/expression is needed/)
  await form.getByLabel('expression').fill('6*7')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('region', { name: 'Result' })).toContainText('42')
  await form.getByLabel('expression').fill('6*')
  await page.keyboard.press('Enter')
  await expect(page.getByRole('region', { name: 'Result' })).toContainText('failed')

  await page.getByRole('button', { name: 'As JSON' }).click()
  await form.getByLabel('Arguments').fill('{"expression": ')
  await expect(form.getByRole('button', { name: 'Run' })).toBeDisabled()
  await form.getByLabel('Arguments').fill('{"expression": "2^10"}')
  await form.getByRole('button', { name: 'Run' }).click()
  await expect(page.getByRole('region', { name: 'Result' })).toContainText('1024')
})

test('what the gate asks about runs only after a yes', async ({ page }) => {
  await page.goto('/tools?tool=memory.remember')
  const form = page.getByRole('form', { name: 'Arguments of memory.remember' })
  await form.getByRole('textbox').first().fill('Likes tea in the afternoon')
  await form.getByRole('button', { name: 'Run' }).click()
  await expect(page.getByRole('alert')).toContainText('The gate asks about this call: It changes your data.')
  await expect(page.getByRole('region', { name: 'Result' })).toHaveCount(0)
  await page.getByRole('button', { name: 'Run it once' }).click()
  await expect(page.getByRole('region', { name: 'Result' })).toContainText('asked about, and confirmed by you')
})

test('a tool that is off says how to switch it on, and one that is gone says so', async ({ page }) => {
  await page.goto('/tools?tool=shell.run')
  await expect(page.getByText('Set tools.shell.enabled to true')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Run', exact: true })).toBeDisabled()
  await page.goto('/tools?tool=no.such.tool')
  await expect(page.getByText('There is no tool called no.such.tool now.')).toBeVisible()
})

test('on a phone nothing is wider than the screen', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 })
  for (const path of ['/tools', '/tools?tool=memory.remember', '/tools?tool=shell.run']) {
    await page.goto(path)
    await expect(page.getByRole('button', { name: 'Menu' })).toBeVisible()
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
  }
})
