import { expect, test } from '@playwright/test'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { program, writePlugin } from '../support/plugins/hosted.ts'
import { type OwnServer, startOwnServer } from './own-server.ts'

/** One server and one browser for the file, with plugins in its home. */
test.describe.configure({ mode: 'serial' })

const SECRET = 'bot-0123456789abcdefghij'
let own: OwnServer
let home: OwnServer['home']
let context: OwnServer['context']
let page: OwnServer['page']

test.beforeAll(async ({ browser }) => {
  own = await startOwnServer(browser, {
    async prepare(home) {
      await writePlugin(join(home, 'source'), {
        description: 'Adds. <img src=x onerror="document.title=\'owned\'">',
        permissions: { net: ['api.example.org'] },
        secrets: [{ name: 'token', label: 'Bot token', required: false }],
      })
      await writeFile(
        join(home, 'gatehouse.yaml'),
        JSON.stringify({
          plugins: { sample_seconds: 0.2, restart_delay_ms: 20, max_crashes: 2 },
          channels: { crasher: { command: 'node', args: [program('hostile.mjs'), 'crash-loop'] } },
        }),
      )
    },
  })
  ;({ home, context, page } = own)
})
test.afterAll(() => own.close())

const row = (name: string) => page.getByRole('listitem').filter({ has: page.getByRole('link', { name, exact: true }) })

test('a plugin is installed from a folder, read before any of it runs, and then switched on', async () => {
  await page.goto('/plugins')
  await page.getByRole('button', { name: 'Install', exact: true }).click()
  await page.getByLabel('From').click()
  await page.getByRole('option', { name: 'Folder on the server' }).click()
  await page.getByLabel('Folder', { exact: true }).fill(join(home, 'nowhere'))
  await page.getByRole('button', { name: 'Install and review' }).click()
  await expect(page.getByText('there is no such folder')).toBeVisible()
  await page.getByLabel('Folder', { exact: true }).fill(join(home, 'source'))
  await page.getByRole('button', { name: 'Install and review' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByText('Not restricted.')).toBeVisible()
  await expect(dialog.getByText('Says that it may reach api.example.org')).toBeVisible()
  await dialog.getByRole('button', { name: 'Not now' }).click()
  await expect(row('Capable')).toContainText('Switched off')
  await page.getByRole('button', { name: 'Review Capable' }).click()
  await dialog.getByRole('button', { name: 'Accept and switch on' }).click()
  await expect(row('Capable')).toContainText('Ready')
})

test('what a plugin says of itself is shown as text', async () => {
  await expect(row('Capable')).toContainText('<img src=x')
  await expect(page).toHaveTitle(/Plugins/)
})

test('its page shows how it stands, its memory with a table, and its tools', async () => {
  await row('Capable').getByRole('link').click()
  await expect(page).toHaveURL(/\/plugins\/capable$/)
  await expect(page.getByRole('img', { name: 'Memory over the last minutes' })).toBeVisible()
  await page.getByText('As a table').click()
  await expect(page.getByRole('region', { name: 'Memory over time' }).getByRole('row')).not.toHaveCount(1)
  const tool = page.getByRole('list', { name: 'Registered' }).getByRole('link', { name: 'add', exact: true })
  await expect(tool).toHaveAttribute('href', '/tools?tool=capable.add')
})

test('a secret is set and never shown; other settings are checked where they stand', async () => {
  await page.getByRole('tab', { name: 'Settings' }).click()
  await page.getByLabel(/Bot token/).fill(SECRET)
  await page.getByLabel(/room/i).fill('0')
  await page.getByRole('button', { name: 'Save settings' }).click()
  await expect(page.getByLabel(/room/i)).toHaveAttribute('aria-invalid', 'true')
  await page.getByLabel(/room/i).fill('7')
  await page.getByRole('button', { name: 'Save settings' }).click()
  await expect(page.getByText('It is started anew with these settings.')).toBeVisible()
  await page.reload()
  await expect(page.getByLabel(/Bot token/)).toHaveAttribute('placeholder', /^Set/)
  await expect(page.getByLabel(/Bot token/)).toHaveValue('')
  await expect(page.getByLabel(/room/i)).toHaveValue('7')
})

test('its log is live, and can be cut down to what matters', async () => {
  await page.getByRole('tab', { name: 'Log' }).click()
  const log = page.getByRole('log', { name: 'Log of capable' })
  await expect(log).toContainText('my token is not set')
  await expect(log).not.toContainText(SECRET)
  const asked: string[] = []
  page.on('request', (request) => asked.push(new URL(request.url()).pathname))
  const said = await log.getByText('my token is').count()
  await page.getByRole('button', { name: 'Restart' }).click()
  await expect(log.getByText('my token is')).toHaveCount(said + 1)
  expect(asked.filter((path) => path.endsWith('/logs')), 'new lines come by the stream').toEqual([])
  await page.getByLabel('Level').click()
  await page.getByRole('option', { name: 'Errors only' }).click()
  await expect(page).toHaveURL(/level=error/)
  await expect(page.getByText('Nothing of this level')).toBeVisible()
})

test('switching it off here is seen on every open page', async () => {
  const other = await context.newPage()
  await other.goto('/plugins')
  await expect(other.getByRole('switch', { name: 'Use Capable' })).toBeChecked()
  await page.getByRole('switch', { name: 'Use Capable' }).click()
  await expect(other.getByRole('switch', { name: 'Use Capable' })).not.toBeChecked()
  await other.close()
  await expect(page.getByRole('button', { name: 'Restart' })).toBeDisabled()
})

test('a switch that does not reach the server says so, and the page stays as it is', async () => {
  await page.goto('/plugins')
  const toggle = row('Capable').getByRole('switch')
  const was = await toggle.isChecked()
  await context.setOffline(true)
  await toggle.click()
  await expect(page.getByText('Capable was not switched')).toBeVisible()
  await expect(toggle).toBeEnabled()
  await context.setOffline(false)
  await expect(toggle).toBeChecked({ checked: was })
})

test('one that wants more than was accepted does not run until that is read', async () => {
  await writePlugin(join(home, 'plugins', 'capable'), { permissions: { net: ['api.example.org', 'evil.example'] } })
  await page.goto('/plugins/capable')
  await expect(page.getByText('Since you accepted it, it reaches evil.example.')).toBeVisible()
  await page.getByRole('button', { name: 'Review' }).first().click()
  const news = page.getByRole('dialog').getByRole('region', { name: 'New since you accepted it' })
  await expect(news).toContainText('It reaches evil.example')
  await page.getByRole('button', { name: 'Accept and switch on' }).click()
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await expect(page.getByRole('switch', { name: 'Use Capable' })).toBeChecked()
})

test('an update that wants more is read before it runs; one that does not goes on at once', async () => {
  const update = async (manifest: Record<string, unknown>) => {
    await writePlugin(join(home, 'source'), manifest)
    await page.getByRole('button', { name: 'More for Capable' }).click()
    await page.getByRole('menuitem', { name: 'Update' }).click()
    await expect(page.getByRole('dialog').getByLabel('Folder on the server')).toHaveValue(join(home, 'source'))
    await page.getByRole('dialog').getByRole('button', { name: 'Update' }).click()
  }
  await page.goto('/plugins/capable')
  await update({ version: '2.0.0', permissions: { net: ['api.example.org'] } })
  await expect(page.getByText('Capable 2.0.0 is installed')).toBeVisible()
  await expect(page.getByRole('main').getByText('Ready', { exact: true }).first()).toBeVisible()
  await update({ version: '3.0.0', permissions: { net: ['api.example.org', 'more.example'] } })
  await expect(page.getByRole('dialog', { name: 'Capable wants more' })).toContainText('It reaches more.example')
  await page.getByRole('dialog').getByRole('button', { name: 'Accept' }).click()
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await expect(page.getByRole('main').getByText('3.0.0')).toBeVisible()
})

test('one that crashes again and again says why it is in quarantine, and what to do', async () => {
  await page.goto('/plugins/crasher')
  await expect(page.getByText('In quarantine').first()).toBeVisible()
  await expect(page.getByText(/Crashed 2 times in a row/i).first()).toBeVisible()
  await expect(page.getByText('mend the cause, then restart it')).toBeVisible()
  await expect(page.getByRole('list', { name: 'Incidents' })).toContainText('exit code 1')
  await page.getByRole('tab', { name: 'Permissions' }).click()
  await expect(page.getByText('It is a bare command without a manifest')).toBeVisible()
  await page.goto('/plugins?state=review')
  await expect(row('crasher')).toContainText('In quarantine')
  await expect(row('Capable')).toHaveCount(0)
  await page.goto('/plugins?tab=doctor')
  await expect(page.getByRole('list', { name: 'What needs a look' })).toContainText('is in quarantine')
})

test('one that carries a chat is read here and set up among the channels; both pages say the same', async () => {
  await page.goto('/plugins?tab=bundled')
  await page.getByRole('button', { name: 'Review Echo' }).click()
  await expect(page.getByRole('dialog').getByText('May reach nothing on the network')).toBeVisible()
  await page.getByRole('button', { name: 'Accept and set up' }).click()
  await expect(page).toHaveURL(/\/channels\?setup=echo/)
  await page.getByRole('button', { name: 'Start' }).click()
  await expect(page.getByRole('heading', { name: /Connected as echo/ })).toBeVisible({ timeout: 30_000 })
  await page.goto('/plugins?tab=bundled')
  await expect(row('Echo')).toContainText('Ready')
  await page.getByRole('switch', { name: 'Use Echo' }).click()
  await expect(row('Echo')).toContainText('Switched off')
  await page.goto('/channels')
  const channel = page.getByRole('list', { name: 'Channels', exact: true }).getByRole('listitem').filter({
    hasText: 'echo',
  })
  await expect(channel).toContainText('Switched off')
  await page.getByRole('button', { name: 'Switch echo on' }).click()
  await expect(channel).toContainText('Connected', { timeout: 30_000 })
  await page.goto('/plugins')
  await expect(page.getByRole('switch', { name: 'Use Echo' })).toBeChecked()
})

test('what a restricted plugin tries beyond its permissions is shown as refused', async () => {
  const folder = join(home, 'plugins', 'curious')
  await mkdir(folder, { recursive: true })
  await writeFile(
    join(folder, 'plugin.json'),
    JSON.stringify({
      id: 'curious',
      name: 'Curious',
      version: '1.0.0',
      entry: 'main.mjs',
      runtime: 'deno',
      protocol: 'v1alpha1',
    }),
  )
  await writeFile(
    join(folder, 'main.mjs'),
    `console.log('{"type":"ready","gateway":"curious","version":"v1alpha1"}')
     fetch('https://evil.example/').catch(() => {})
     for await (const _ of Deno.stdin.readable);`,
  )
  await page.goto('/plugins?review=curious')
  await page.getByRole('button', { name: 'Accept and switch on' }).click()
  await page.goto('/plugins/curious')
  await expect(page.getByRole('list', { name: 'Incidents' })).toContainText('ried to reach evil.example:443: refused')
})

test('plugins are looked for in npm, and what npm can not do is said', async () => {
  const found = {
    name: '@example/gatehouse-weather',
    version: '1.2.3',
    description: 'Tells the <b>weather</b>',
    publisher: 'ada',
    published_at: 1_790_000_000,
    homepage: 'javascript:alert(1)',
    installed: null,
  }
  await page.route(/api.plugins.browse/, (route) => route.fulfill({ json: { packages: [found] } }))
  await page.goto('/plugins?tab=browse')
  const list = page.getByRole('list', { name: 'Plugins in npm' })
  await expect(list).toContainText('Tells the <b>weather</b>')
  await expect(list.getByRole('link')).toHaveCount(0)
  await page.getByRole('searchbox', { name: 'Search npm for plugins' }).fill('weather')
  await expect(page).toHaveURL(/q=weather/)
  await page.route(
    '**/api/plugins/install',
    (route) => route.fulfill({ status: 502, json: { error: 'npm could not do this: not found', code: 'bad_gateway' } }),
  )
  await page.getByRole('button', { name: 'Install @example/gatehouse-weather 1.2.3' }).click()
  await expect(page.getByText('npm could not do this')).toBeVisible()
  await page.unrouteAll()
})

test('a plugin is uninstalled only after a yes', async () => {
  await page.goto('/plugins/capable')
  const ask = async () => {
    await page.getByRole('button', { name: 'More for Capable' }).click()
    await page.getByRole('menuitem', { name: 'Uninstall' }).click()
  }
  await ask()
  await expect(page.getByRole('dialog')).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog')).toHaveCount(0)
  await ask()
  await page.getByRole('button', { name: 'Uninstall plugin' }).click()
  await expect(page).toHaveURL(/\/plugins$/)
  await expect(row('Capable')).toHaveCount(0)
})
