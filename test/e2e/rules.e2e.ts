import { expect, type Page, test } from '@playwright/test'
import type { ToolRules } from '../../shared/tools.ts'
import { type Agent, startAgent } from './agent.ts'
import { signIn } from './sign-in.ts'

test.describe.configure({ mode: 'serial' })
let agent: Agent

test.beforeAll(async ({ playwright, baseURL }) => {
  agent = await startAgent(playwright, baseURL)
  agent.script(
    { kind: 'tool', name: 'math_evaluate', arguments: { expression: '6*7' } },
    { kind: 'tool', name: 'math_evaluate', arguments: { expression: '1+1' } },
    { kind: 'text', text: 'Calculated.' },
  )
  await agent.say('past', 'Calculate', true)
})
test.afterAll(() => agent.close())
test.beforeEach(async ({ page, baseURL }) => {
  await signIn(page, baseURL)
  await page.goto('/approvals/rules')
})

const rows = (page: Page) => page.getByRole('list', { name: 'Rules in order' }).getByRole('listitem')
const begin = async (page: Page, template: string) => {
  await page.getByRole('button', { name: 'New rule' }).click()
  await page.getByRole('menuitem', { name: template }).click()
}
const inForce = async () =>
  (await agent.get<ToolRules>('/api/tool-rules')).rules.map(({ decision, tool, when }) => [decision, tool, when])

test('a rule shows what it would have decided before it is kept, and holds when the list is saved', async ({ page }) => {
  await begin(page, 'An empty one')
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('radio', { name: /Deny/ }).check()
  await dialog.getByLabel('Tool').fill('math.*')
  await expect(dialog.getByText('One tool')).toBeVisible()
  await dialog.getByLabel('When').fill("args.expression.contains('7')")
  const tried = dialog.getByRole('region', { name: 'On past calls' })
  // When the file is run again on the same server, there are more of them.
  await expect(tried).toContainText(/(One call|\d+ calls) would have been decided otherwise/)
  await expect(tried).toContainText('{"expression":"6*7"}')
  await dialog.getByRole('button', { name: 'Add to the list' }).click()
  await expect(rows(page)).toContainText([/Deny.*math\.\* when args\.expression\.contains\('7'\).*new/s])
  expect(await inForce()).toEqual([])

  await page.getByRole('button', { name: 'Try on past calls' }).click()
  await expect(page.getByRole('region', { name: 'On past calls' })).toContainText(/One call|\d+ calls/)
  await page.getByRole('button', { name: 'Save rules' }).click()
  await expect(page.getByText('The rules are saved')).toBeVisible()
  expect(await inForce()).toEqual([['deny', 'math.*', "args.expression.contains('7')"]])
})

test('a condition that means nothing is refused at its field while it is typed', async ({ page }) => {
  await begin(page, 'Never push')
  const dialog = page.getByRole('dialog')
  const when = dialog.getByLabel('When')
  await expect(when).toHaveValue("args.command.startsWith('git push')")
  await when.fill('args.command.startsWith(')
  await expect(when).toHaveAttribute('aria-invalid', 'true')
  await expect(dialog.getByRole('button', { name: 'Add to the list' })).toBeDisabled()
  await when.fill('nothing == 1')
  await expect(when).toHaveAccessibleDescription(/nothing/)
  await when.fill("tool == 'x'")
  await dialog.getByRole('button', { name: 'Add to the list' }).click()
  await expect(rows(page)).toHaveCount(2)
  await page.getByRole('button', { name: 'Discard' }).click()
  await expect(rows(page)).toHaveCount(1)
})

test('rules are put in order by keyboard alone, and focus stays with the rule', async ({ page }) => {
  for (const template of ['Trust the notes', 'Never push']) {
    await begin(page, template)
    await page.getByRole('dialog').getByRole('button', { name: 'Add to the list' }).click()
  }
  await expect(rows(page)).toContainText([/git push/, /notes/, /math/])
  await page.getByRole('button', { name: 'Move rule 1 down' }).focus()
  await page.keyboard.press('Enter')
  await expect(rows(page)).toContainText([/notes/, /git push/, /math/])
  await expect(page.getByRole('button', { name: 'Move rule 2 down' })).toBeFocused()
  await page.keyboard.press('Alt+ArrowDown')
  await expect(rows(page)).toContainText([/notes/, /math/, /git push/])
  await expect(page.getByText('Rule moved down to place 3')).toBeAttached()
  await page.getByRole('button', { name: 'Take rule 1 out' }).click()
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(rows(page)).toHaveCount(3)
  await page.keyboard.press('Control+s')
  await expect(page.getByText('The rules are saved')).toBeVisible()
  expect((await inForce()).map(([, tool]) => tool)).toEqual(['notes.*', 'math.*', 'shell.run'])
})

test('rules that somebody else changed meanwhile are not overwritten unseen', async ({ page }) => {
  await begin(page, 'Ask before any web page')
  await page.getByRole('dialog').getByRole('button', { name: 'Add to the list' }).click()
  await agent.put('/api/tool-rules', { rules: [{ decision: 'deny', tool: 'theirs' }] })
  const notice = page.getByRole('alert').filter({ hasText: 'The rules were changed meanwhile.' })
  await expect(notice).toBeVisible()
  await page.getByRole('button', { name: 'Save rules' }).click()
  await expect(notice).toBeVisible()
  expect((await inForce()).map(([, tool]) => tool)).toEqual(['theirs'])
  await notice.getByRole('button', { name: 'Load theirs' }).click()
  await expect(rows(page)).toContainText([/theirs/])
  await page.getByRole('button', { name: 'Bring mine back' }).click()
  await expect(rows(page)).toHaveCount(4)
})

test('a slip does not close a dialog in which something was typed, nor does an end of the session', async ({ page }) => {
  await page.goto('/approvals')
  await page.getByRole('link', { name: 'Rules', exact: true }).click()
  await begin(page, 'Never push')
  const dialog = page.getByRole('dialog', { name: 'New rule' })
  await dialog.getByLabel(/Note/).fill('Ask Ann first')
  await page.keyboard.press('Escape')
  await page.mouse.click(5, 300)
  await page.evaluate(() => history.back())
  await expect(page).toHaveURL(/\/approvals\/rules$/)
  await expect(dialog.getByLabel(/Note/)).toHaveValue('Ask Ann first')
  await page.context().clearCookies()
  await dialog.getByLabel(/Note/).fill('Ask Ann before')
  await expect(page.getByText('You are signed out')).toBeVisible()
  await expect(dialog.getByLabel(/Note/)).toHaveValue('Ask Ann before')
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await expect(dialog).toHaveCount(0)
})

test('leaving with unsaved rules asks first', async ({ page }) => {
  await begin(page, 'Never push')
  await page.getByRole('dialog').getByRole('button', { name: 'Add to the list' }).click()
  await page.getByRole('link', { name: 'History' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await expect(page).toHaveURL(/\/approvals\/rules/)
  await page.getByRole('link', { name: 'History' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Leave' }).click()
  await expect(page).toHaveURL(/\/approvals\/history/)
})

test('a standing answer is listed with what it covers, and asks again once it is revoked', async ({ page }) => {
  await agent.put('/api/tool-rules', { rules: [] })
  const { id } = await agent.ask('standing', 'memory_remember', { fact: 'Likes tea' })
  await agent.post(`/api/approvals/${id}`, { decision: 'allow_always' })
  const table = page.getByRole('region', { name: 'Standing answers' })
  await expect(table).toContainText(/memory\.remember.*with any arguments.*every conversation/s)
  await table.getByRole('button', { name: /^Revoke memory\.remember/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
  await expect(page.getByText('None yet')).toBeVisible()
  await agent.ask('standing-2', 'memory_remember', { fact: 'Likes coffee' })
})
