import { expect, test } from '@playwright/test'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { type OwnServer, startOwnServer } from './own-server.ts'

/** One server with a platform that obeys what is sent to it, and one browser for the file. */
test.describe.configure({ mode: 'serial' })

const PLATFORM = join(import.meta.dirname, '../support/plugins/gateway.mjs')
let own: OwnServer
let home: OwnServer['home']
let page: OwnServer['page']
let call: OwnServer['call']

test.beforeAll(async ({ browser }) => {
  own = await startOwnServer(browser)
  ;({ home, page, call } = own)
})
test.afterAll(() => own.close())

/** Makes the platform do something: `message hello` is a message of person 7. */
const order = (text: string) => call('POST', '/api/channels/test/messages', { chat_id: '1', text })
const card = (name: string) =>
  page.getByRole('list', { name: 'Channels', exact: true }).getByRole('listitem').filter({ hasText: name })

test('an empty page says what a channel is, and offers the platforms', async () => {
  await page.goto('/channels')
  await expect(page.getByText('No channels yet')).toBeVisible()
  await expect(page.getByText('A channel is a bot on a chat platform')).toBeVisible()
  await expect(page.getByRole('link', { name: 'Set up Telegram' })).toBeVisible()
})

test('a token that is needed is asked for, and nothing is started without it', async () => {
  await page.getByRole('link', { name: 'Set up Telegram' }).click()
  await page.getByRole('button', { name: 'Save and go on' }).click()
  await expect(page.getByText('Bot token is needed')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Accept and start' })).toHaveCount(0)
})

test('what was typed and not saved is not lost by a click', async () => {
  await page.getByLabel('Bot token').fill('123:abc')
  await page.getByRole('main').getByRole('link', { name: 'Channels' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await expect(page.getByLabel('Bot token')).toHaveValue('123:abc')
  await page.getByRole('main').getByRole('link', { name: 'Channels' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Leave' }).click()
  await expect(page.getByText('No channels yet')).toBeVisible()
})

test('a bundled platform is set up: what it may do is accepted, then it says who it is', async () => {
  await page.goto('/channels?setup=echo')
  await expect(page.getByText('May reach nothing on the network')).toBeVisible()
  await page.getByRole('button', { name: 'Accept and start' }).click()
  await expect(page.getByRole('heading', { name: /Connected as echo/ })).toBeVisible({ timeout: 30_000 })
  await expect(page.getByText('it answers with a code, which appears here')).toBeVisible()
  // What the agent is made to say comes back as the words of a stranger.
  await call('POST', '/api/channels/echo/messages', { chat_id: 'me', text: 'anybody there?' })
  await expect(page.getByRole('list', { name: 'People who ask to be let in' })).toContainText('Echo', {
    timeout: 20_000,
  })
  await expect(page.getByRole('link', { name: 'Channels, 1 waiting' })).toBeVisible()
  await page.getByRole('button', { name: 'Refuse' }).click()
  await expect(page.getByRole('link', { name: 'Channels, 1 waiting' })).toHaveCount(0)
})

test('it is switched off and on again', async () => {
  await page.getByRole('link', { name: 'Open the channel' }).click()
  await page.getByRole('button', { name: 'More' }).click()
  await page.getByRole('menuitem', { name: 'Switch off' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Switch off' }).click()
  await expect(page.getByRole('button', { name: 'Switch on' })).toBeVisible()
  await page.goto('/channels')
  await expect(card('echo')).toContainText('Switched off')
  await page.getByRole('button', { name: 'Switch echo on' }).click()
  await expect(card('echo')).toContainText('Connected')
})

test('a second bot of a platform has a name of its own', async () => {
  await page.getByRole('button', { name: 'Add another Echo' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByLabel('Name')).toHaveValue('echo-2')
  await dialog.getByLabel('Name').fill('telegram')
  await dialog.getByRole('button', { name: 'Add and set up' }).click()
  await expect(dialog.getByText('This name is taken')).toBeVisible()
  await dialog.getByLabel('Name').fill('echo-work')
  await dialog.getByRole('button', { name: 'Add and set up' }).click()
  await expect(page.getByRole('heading', { name: 'Set up Echo (echo-work)' })).toBeVisible()
  await page.getByRole('button', { name: 'Start' }).click()
  await expect(page.getByRole('heading', { name: /Connected as echo/ })).toBeVisible({ timeout: 30_000 })
  await page.getByRole('main').getByRole('link', { name: 'Channels' }).click()
  await expect(card('echo-work')).toContainText('Connected')
  await expect(page.getByRole('list', { name: 'Platforms' }).getByRole('listitem').filter({ hasText: 'Echo' }))
    .toContainText('2 bots')
})

test('a channel is removed only after a yes, and offered as a platform again', async () => {
  for (const name of ['echo-work', 'echo']) {
    await card(name).getByRole('link', { name, exact: true }).click()
    await page.getByRole('button', { name: 'More' }).click()
    await page.getByRole('menuitem', { name: 'Remove' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove channel' }).click()
    await expect(page).toHaveURL(/\/channels$/)
    await expect(card(name).getByRole('link', { name, exact: true })).toHaveCount(0)
  }
  await expect(page.getByRole('link', { name: 'Set up Echo' })).toBeVisible()
  expect(await readFile(join(home, 'gatehouse.yaml'), 'utf8')).not.toContain('echo')
})

test('a program of gatehouse.yaml appears by itself', async () => {
  await page.goto('/channels')
  await writeFile(
    join(home, 'gatehouse.yaml'),
    `channels:\n  test: { command: ${JSON.stringify(process.execPath)}, args: ['${PLATFORM}', test], burst_ms: 0 }\n`,
  )
  await expect(card('test')).toContainText('Connected', { timeout: 30_000 })
  await expect(card('test')).toContainText('nobody')
})

test('a stranger writes, and is let in and trusted from the page', async () => {
  await order('message hello')
  const asking = page.getByRole('list', { name: 'People who ask to be let in' })
  await expect(asking).toContainText(/[2-9A-Z]{4}-[2-9A-Z]{4}/)
  await asking.getByRole('button', { name: 'Let in and trust' }).click()
  await expect(asking).toHaveCount(0)
  await expect(card('test')).toContainText('1 person')
  await page.getByRole('tab', { name: 'People' }).click()
  await expect(page.getByRole('list', { name: 'People' }).getByRole('listitem')).toContainText('Trusted')
})

test('a person is blocked, and put out with a way back', async () => {
  const person = page.getByRole('list', { name: 'People' }).getByRole('listitem')
  await person.getByLabel(/What becomes of the words/).click()
  await page.getByRole('option', { name: /Dropped/ }).click()
  await expect(async () => {
    const { people } = await call('GET', '/api/channel-people?channel=test') as { people: { disposition: string }[] }
    expect(people[0]!.disposition).toBe('block')
  }).toPass()
  await person.getByRole('button', { name: /Put .* out/ }).click()
  await expect(person.getByRole('button', { name: /^Let/ })).toBeVisible()
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(person).toContainText('Trusted')
})

test('of a crowd the latest are shown, the others are found and read page by page', async () => {
  const { channels } = await call('GET', '/api/config') as { channels: Record<string, unknown> }
  await call('PATCH', '/api/config/channels', { ...channels, crowd: { command: 'crowd', enabled: false } })
  for (let from = 0; from < 220; from += 20) {
    await Promise.all(
      Array.from(
        { length: 20 },
        (_, i) => call('PATCH', `/api/channel-people/crowd/p${from + i}`, { disposition: 'allow' }),
      ),
    )
  }
  await page.goto('/channels?tab=people&channel=crowd')
  const people = page.getByRole('list', { name: 'People', exact: true }).getByRole('listitem')
  await expect(people).toHaveCount(50)
  for (const shown of [100, 150, 200, 220]) {
    await page.getByRole('button', { name: 'Show more people' }).click()
    await expect(people).toHaveCount(shown)
  }
  await expect(page.getByRole('button', { name: 'Show more people' })).toHaveCount(0)
  await page.getByLabel('Search people and groups').fill('p117')
  await expect(people).toHaveCount(1)
  await expect(people).toContainText('p117')
  await page.getByLabel('Search people and groups').fill('nobody of this name')
  await expect(page.getByText('Nobody matches')).toBeVisible()
  await call('PATCH', '/api/config/channels', channels)
})

test('a code of the platform appears while the page is open, with the time that it is valid', async () => {
  await page.goto('/channels')
  await order(
    'raw {"type":"auth_required","method":{"method":"qr_code","qr_data":"2@abc","expires_in":60}}\\n',
  )
  await expect(page.getByRole('img', { name: 'QR code of test' })).toBeVisible()
  await expect(page.getByRole('timer')).toContainText(/Valid for another \d+ s/)
  await order('raw {"type":"auth_success"}\\n')
  await expect(page.getByRole('img', { name: 'QR code of test' })).toHaveCount(0)
})

test('what is still to be done on the platform is told while it is connected, with its address to copy', async () => {
  await order('raw {"type":"status","connected":true,"detail":"Enter https://a.example/hooks/x there"}\\n')
  await expect(card('test')).toContainText('Enter https://a.example/hooks/x there')
  await page.goto('/channels?setup=test')
  await page.getByRole('button', { name: 'Copy the address' }).click()
  await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible()
  await page.goto('/channels')
  await order('raw {"type":"status","connected":true}\\n')
  await expect(card('test')).not.toContainText('a.example')
})

test('rules are tried before they are saved, moved by keyboard, and never written over others', async () => {
  await page.goto('/channels?tab=routing')
  for (const [sender, session] of [['8', 'eight'], ['7', 'seven']] as const) {
    await page.getByRole('button', { name: 'New rule' }).click()
    await page.getByRole('dialog').getByLabel(/^Person/).fill(sender)
    await page.getByRole('dialog').getByLabel(/^Session/).fill(session)
    await page.getByRole('button', { name: 'Add to the list' }).click()
  }
  const rows = page.getByRole('list', { name: 'Rules in order' }).getByRole('listitem')
  await expect(rows).toHaveCount(2)
  // Whoever stays is asked again the next time, and the tab that was refused is not the chosen one.
  for (let time = 0; time < 2; time++) {
    await page.getByRole('tab', { name: 'People' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
    await expect(page.getByRole('dialog')).toHaveCount(0)
    await expect(page.getByRole('tab', { name: 'Routing' })).toHaveAttribute('aria-selected', 'true')
  }
  await page.getByRole('button', { name: 'Move rule 2 up' }).focus()
  await page.keyboard.press('Alt+ArrowUp')
  await expect(rows.first()).toContainText('seven')
  await page.getByLabel('Id of the person').fill('8')
  await page.getByRole('button', { name: 'Try it' }).click()
  await expect(page.getByText('Gets a pairing code')).toBeVisible()
  await call('PATCH', '/api/channel-people/test/7', { disposition: null })
  await page.getByLabel('Id of the person').fill('7')
  await page.getByRole('button', { name: 'Try it' }).click()
  await expect(page.getByRole('link', { name: 'seven' })).toBeVisible()
  await call('PUT', '/api/channel-routes', { routes: [{ match: { sender_id: '9' }, ignore: true }] })
  await expect(page.getByText('The rules were changed meanwhile')).toBeVisible()
  await page.getByRole('button', { name: 'Save mine over them' }).click()
  await expect(page.getByText('These rules are in force')).toBeVisible()
  const { routes } = await call('GET', '/api/channel-routes') as { routes: { session: string }[] }
  expect(routes.map(({ session }) => session)).toEqual(['seven', 'eight'])
})

test('what could not be delivered is read, sent again and given up', async () => {
  await order('fail chat_not_found')
  await page.goto('/channels')
  await expect(card('test')).toContainText('1 not delivered')
  await card('test').getByRole('link', { name: '1 not delivered' }).click()
  const entry = page.getByRole('list', { name: 'Messages' }).getByRole('listitem')
  await expect(entry).toContainText('as told')
  await entry.getByText('Details').click()
  await expect(entry).toContainText('Attempts')
  await entry.getByRole('button', { name: 'Send again' }).click()
  await expect(entry).toContainText('Not delivered')
  await entry.getByRole('button', { name: 'Give up' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Give up' }).click()
  await expect(page.getByText('Nothing that could not be delivered')).toBeVisible()
})

test('who may write is set on the page and written to gatehouse.yaml', async () => {
  await page.goto('/channels/test?tab=settings')
  await page.getByLabel('Who may write').fill('42\n43')
  await page.getByLabel('Wait for more').fill('soon')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await expect(page.getByText(/Wait for more: must be/)).toBeVisible()
  await page.getByRole('tab', { name: 'Overview' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
  await expect(page.getByLabel('Wait for more')).toHaveValue('soon')
  await page.getByLabel('Wait for more').fill('0')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await expect(page.getByText('The settings are saved')).toBeVisible()
  expect(await readFile(join(home, 'gatehouse.yaml'), 'utf8')).toContain('43')
  await page.getByRole('tab', { name: 'Overview' }).click()
  await expect(page.getByText('3 people')).toBeVisible()
})

test('a message is sent from the page', async () => {
  await page.getByLabel('Chat', { exact: true }).fill('1')
  await page.getByLabel('Text', { exact: true }).fill('Backup done')
  await page.getByRole('button', { name: 'Send', exact: true }).click()
  await page.getByRole('link', { name: 'See what became of it' }).click()
  await expect(page.getByRole('list', { name: 'Messages' }).getByRole('listitem').filter({ hasText: 'Backup done' }))
    .toContainText('Sent')
})

test('a plugin in quarantine says why, and that it can be restarted', async () => {
  await page.goto('/channels')
  await writeFile(
    join(home, 'gatehouse.yaml'),
    `plugins: { max_crashes: 1 }\nchannels:\n  test: { command: ${
      JSON.stringify(process.execPath)
    }, args: ['-e', 'process.exit(3)'] }\n`,
  )
  await expect(card('test')).toContainText('In quarantine', { timeout: 30_000 })
  await expect(card('test')).toContainText('exit code 3')
})

test('nothing is wider than a phone', async () => {
  await page.setViewportSize({ width: 390, height: 844 })
  for (
    const path of [
      '',
      '?tab=people',
      '?tab=routing',
      '?tab=outbox&state=all',
      '?setup=telegram',
      '/test',
      '/test?tab=settings',
    ]
  ) {
    await page.goto(`/channels${path}`)
    await expect(page.getByRole('heading', { level: 1 })).toBeAttached()
    const wide = await page.evaluate(() => {
      const main = document.querySelector('main')!
      return main.scrollWidth > main.clientWidth
    })
    expect(wide, path).toBe(false)
  }
})
