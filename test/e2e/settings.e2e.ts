import { expect, type Page, test } from '@playwright/test'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { type MockUpstream, startMockUpstream } from '../support/mock-upstream.ts'
import { signIn, TOKEN } from './sign-in.ts'

const owner = { authorization: `Bearer ${TOKEN}` }
const file = () => join(process.env.E2E_HOME!, 'gatehouse.yaml')

test.beforeEach(({ page, baseURL }) => signIn(page, baseURL))

test.describe('models', () => {
  test.describe.configure({ mode: 'serial' })
  let upstream: MockUpstream

  test.beforeAll(async () => {
    upstream = await startMockUpstream()
  })
  test.afterAll(async ({ playwright, baseURL }) => {
    const request = await playwright.request.newContext({ baseURL, extraHTTPHeaders: owner })
    const { providers } = await (await request.get('/api/providers')).json() as { providers: { id: number }[] }
    for (const { id } of providers) await request.delete(`/api/providers/${id}`)
    await request.dispose()
    await upstream.close()
  })

  test('a wrong key is named with what to do, and the right one leads to an answer', async ({ page }) => {
    await page.goto('/settings/models')
    await expect(page.getByText('Connect a model in under a minute')).toBeVisible()
    await page.getByRole('button', { name: 'OpenAI' }).click()
    await expect(page.getByRole('button', { name: 'Connect', exact: true })).toBeDisabled()
    await page.getByText('More options').click()
    await page.getByLabel('Address').fill(`${upstream.url}/v1`)
    await page.getByLabel('API key').fill('bad')
    await page.getByRole('button', { name: 'Connect', exact: true }).click()
    await expect(page.getByRole('alert')).toContainText('key was refused')
    await expect(page.getByText('make a new one at platform.openai.com')).toBeVisible()

    await page.getByLabel('API key').fill('sk-right-0123456789')
    await page.getByRole('button', { name: 'Connect', exact: true }).click()
    await page.getByRole('radio', { name: 'echo' }).check()
    await page.getByRole('button', { name: 'Test and use it' }).click()
    await expect(page.getByText('New messages go to it.')).toBeVisible()
    await page.getByRole('button', { name: 'Done' }).click()
    await expect(page.getByRole('heading', { name: 'OpenAI' })).toBeVisible()
    await expect(page.getByText('****6789')).toBeVisible()
    expect(await page.content()).not.toContain('sk-right-0123456789')
  })

  test('more models are found by search and added at once; a bad one says why', async ({ page }) => {
    await page.goto('/settings/models')
    await page.getByRole('button', { name: 'Add models of openai' }).click()
    const dialog = page.getByRole('dialog')
    await expect(dialog.getByRole('checkbox', { name: 'echo' })).toBeDisabled()
    await dialog.getByLabel('Search models').fill('status')
    await expect(dialog.getByRole('checkbox')).toHaveCount(1)
    await dialog.getByRole('checkbox', { name: 'status:401' }).check()
    await dialog.getByLabel('Search models').fill('')
    await dialog.getByRole('checkbox', { name: 'reasoning' }).check()
    await dialog.getByRole('button', { name: 'Add 2 models' }).click()
    await expect(page.getByRole('region', { name: 'Models of openai' }).locator('tbody tr')).toHaveCount(3)
    await page.getByRole('button', { name: 'More for status:401' }).click()
    await page.getByRole('menuitem', { name: 'Test' }).click()
    await expect(page.getByText(/key was refused/)).toBeVisible()
  })

  test('the default model is chosen in the table and answers in the chat', async ({ page }) => {
    await page.goto('/settings/models')
    await page.getByRole('radio', { name: 'reasoning answers by default' }).check()
    await expect(page.getByLabel('Default model')).toContainText('reasoning')
    await page.getByRole('radio', { name: 'echo answers by default' }).check()
    await expect(page.getByLabel('Default model')).toContainText('echo')
    await page.goto('/chat')
    await page.getByRole('textbox', { name: 'Message' }).fill('Hello from the settings')
    await page.keyboard.press('Enter')
    await expect(page.locator('.md').last()).toContainText('Hello from the settings')
  })

  test('a removed model comes back by Undo', async ({ page }) => {
    await page.goto('/settings/models')
    await page.getByRole('button', { name: 'More for reasoning' }).click()
    await page.getByRole('menuitem', { name: 'Remove' }).click()
    await expect(page.getByRole('switch', { name: 'Use reasoning' })).toHaveCount(0)
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect(page.getByRole('switch', { name: 'Use reasoning' })).toBeVisible()
  })

  test('removing a provider says how many models go, and Escape keeps all', async ({ page }) => {
    await page.goto('/settings/models')
    const remove = async () => {
      await page.getByRole('button', { name: 'More for openai', exact: true }).click()
      await page.getByRole('menuitem', { name: 'Remove' }).click()
    }
    await remove()
    await expect(page.getByRole('dialog')).toContainText('Its 3 models go with it')
    await page.keyboard.press('Escape')
    await expect(page.getByRole('dialog')).toHaveCount(0)
    await remove()
    await page.getByRole('button', { name: 'Remove provider' }).click()
    await expect(page.getByText('Connect a model in under a minute')).toBeVisible()
  })
})

test.describe('configuration', () => {
  test.describe.configure({ mode: 'serial' })
  const text = (page: Page) => page.getByLabel('The text of gatehouse.yaml')
  const name = (page: Page) => page.getByRole('textbox', { name: 'Name', exact: true })
  const save = (page: Page) => page.getByRole('button', { name: 'Save', exact: true })

  test.beforeAll(() => writeFile(file(), '# mine\nname: Ada # short\n'))
  test.beforeEach(async ({ page }) => {
    await page.goto('/settings/config')
  })

  test('the form changes its line of the file and nothing else', async ({ page }) => {
    await expect(text(page)).toHaveValue(/name: Ada/)
    await name(page).fill('Bea')
    await page.getByRole('textbox', { name: 'Waiting turns' }).fill('30')
    await expect(text(page)).toHaveValue('# mine\nname: Bea # short\nsessions:\n  max_queue: 30\n')
    await save(page).click()
    await expect(page.getByText('The configuration is saved')).toBeVisible()
    expect(await readFile(file(), 'utf8')).toBe('# mine\nname: Bea # short\nsessions:\n  max_queue: 30\n')
  })

  test('a value that the schema refuses is named at its field and can not be saved', async ({ page }) => {
    await page.getByRole('textbox', { name: 'Waiting turns' }).fill('5000')
    await expect(page.getByText('Waiting turns must be at most 1000')).toBeVisible()
    await expect(save(page)).toBeDisabled()
    await page.getByRole('button', { name: 'Discard' }).click()
    await expect(text(page)).toHaveValue(/max_queue: 30/)
  })

  test('what the environment decides is shown, with the reason why it can not be changed', async ({ page }) => {
    const port = page.getByRole('textbox', { name: 'Port' })
    await expect(port).toBeDisabled()
    await expect(port).toHaveAccessibleDescription(/environment of the server/)
  })

  test('broken YAML is refused with its line, and what was typed survives a reload', async ({ page }) => {
    await text(page).fill('name: Bea\nserver:\n  port: [1\nlogging: {}\n')
    const bar = page.getByRole('region', { name: 'Changes' })
    await expect(bar).toContainText(/Line [34]:/)
    await expect(save(page)).toBeDisabled()
    page.on('dialog', (dialog) => void dialog.accept())
    await page.reload()
    await expect(page.getByText('Your unsaved changes of earlier are back.')).toBeVisible()
    await expect(text(page)).toHaveValue(/port: \[1/)
    await page.getByRole('button', { name: 'Discard' }).click()
    expect(await readFile(file(), 'utf8')).toContain('name: Bea # short')
  })

  test('leaving with unsaved changes asks first', async ({ page }) => {
    await name(page).fill('Never')
    await page.getByRole('link', { name: 'Logs' }).first().click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
    await expect(page).toHaveURL(/\/settings\/config/)
    await expect(name(page)).toHaveValue('Never')
    await page.getByRole('button', { name: 'Discard' }).click()
  })

  test('a change on disk is shown and both changes can be kept', async ({ page }) => {
    await page.getByRole('textbox', { name: 'Waiting turns' }).fill('40')
    await writeFile(file(), (await readFile(file(), 'utf8')).replace('Bea', 'Cleo'))
    await expect(page.getByText('gatehouse.yaml has changed on disk.')).toBeVisible()
    await page.getByRole('button', { name: 'See what changed' }).click()
    await expect(page.getByRole('region', { name: 'Differences' })).toContainText('name: Cleo')
    await page.getByRole('button', { name: 'Keep both' }).click()
    await expect(text(page)).toHaveValue(/name: Cleo[^]*max_queue: 40/)
    await save(page).click()
    await expect(page.getByText('The configuration is saved')).toBeVisible()
    expect(await readFile(file(), 'utf8')).toMatch(/name: Cleo[^]*max_queue: 40/)
  })

  test('a version of the history is compared, restored, and the restore undone', async ({ page }) => {
    await page.getByRole('tab', { name: 'History' }).click()
    await page.getByRole('list', { name: 'Versions' }).getByRole('button').last().click()
    await expect(page.getByRole('region', { name: 'Differences' })).toContainText('name: Ada')
    await page.getByRole('button', { name: 'Restore' }).click()
    await expect(page.getByText('The version is back in force')).toBeVisible()
    expect(await readFile(file(), 'utf8')).toContain('name: Ada')
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect(page.getByText('It is as it was before')).toBeVisible()
    expect(await readFile(file(), 'utf8')).toContain('name: Cleo')
  })

  test('on a phone form, YAML and history are tabs, and nothing is wider than the screen', async ({ page }) => {
    await page.setViewportSize({ width: 390, height: 844 })
    for (const view of ['YAML', 'History', 'Form']) {
      await page.getByRole('tab', { name: view }).click()
      await expect(page.getByRole('tab', { name: view })).toHaveAttribute('aria-selected', 'true')
      expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0)
    }
  })
})
