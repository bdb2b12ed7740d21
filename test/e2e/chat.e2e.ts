import { expect, test } from '@playwright/test'
import { type MockUpstream, startMockUpstream } from '../support/mock-upstream.ts'
import { type OwnServer, startOwnServer } from './own-server.ts'

/** One server and one browser for the file: the tests follow a person through the first hour. */
test.describe.configure({ mode: 'serial' })

let upstream: MockUpstream
let own: OwnServer
let context: OwnServer['context']
let page: OwnServer['page']

test.beforeAll(async ({ browser }) => {
  upstream = await startMockUpstream()
  own = await startOwnServer(browser, { first: true })
  ;({ context, page } = own)
})
test.afterAll(async () => {
  await own.close()
  await upstream.close()
})

const field = () => page.getByLabel('Message', { exact: true })
const transcript = () => page.getByRole('log')
const answers = () => transcript().locator('.md')
const list = () => page.getByRole('navigation', { name: 'Conversations' })

async function say(text: string) {
  await field().fill(text)
  await field().press('Enter')
}

async function newChat() {
  await page.getByRole('link', { name: 'New chat' }).click()
  await expect(page.getByRole('heading', { name: 'What can I do for you?' })).toBeVisible()
}

/** The answer is complete when there is something to send to again. */
const idle = () => expect(page.getByRole('button', { name: 'Stop' })).toHaveCount(0, { timeout: 20_000 })

test('the printed link signs in, and the built-in assistant answers without a model', async () => {
  await page.goto(own.link)
  await expect(page.getByText('Connect a model', { exact: true })).toBeVisible()
  await page.getByRole('button', { name: 'Go on without' }).click()
  await say('What is 12.5% of 80?')
  await expect(page).toHaveURL(/\/chat\/.+/)
  await expect(answers().last()).toContainText('10')
  await expect(list().getByRole('link', { name: 'What is 12.5% of 80?' })).toHaveAttribute('aria-current', 'page')
})

test('a model is connected from the card; a refused key says so and keeps what was typed', async () => {
  await newChat()
  await page.getByRole('button', { name: 'Connect a model' }).click()
  await page.getByRole('button', { name: 'Other' }).click()
  await page.getByLabel('Address').fill(`${upstream.url}/v1`)
  await page.getByLabel('API key').fill('bad')
  await page.getByRole('button', { name: 'Connect', exact: true }).click()
  await expect(page.getByRole('alert')).toContainText('could not be connected')
  await expect(page.getByLabel('Address')).toHaveValue(`${upstream.url}/v1`)
  await page.getByLabel('API key').fill('good')
  await page.getByRole('button', { name: 'Connect', exact: true }).click()
  await page.getByRole('button', { name: 'Test and use it' }).click()
  await expect(page.getByText('echo answers')).toBeVisible()
  await page.getByRole('button', { name: 'Done' }).click()
  await say('Hello, model')
  await expect(answers().last()).toHaveText('Hello, model')
})

test('Markdown is drawn with coloured code, and HTML of a model is only text', async () => {
  const code = '```js\nconst answer = 42\n```'
  upstream.script({ kind: 'text', text: `# Title\n\n${code}\n\n<img src=x onerror="window.ran = true">` })
  await newChat()
  await say('Show me code')
  await expect(transcript().getByRole('heading', { name: 'Title' })).toBeVisible()
  await expect(transcript().locator('.tok-keyword').first()).toHaveText('const')
  await expect(transcript().getByText('<img src=x')).toBeVisible()
  expect(await page.evaluate(() => 'ran' in window)).toBe(false)
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await transcript().getByRole('button', { name: 'Copy this code' }).click()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('const answer = 42')
})

test('an answer survives a reload in its middle, every word once', async () => {
  upstream.script({ kind: 'tokens', count: 120, gap_ms: 25 })
  await newChat()
  await say('Count for me')
  await expect(answers().last()).toContainText('word word word')
  await page.reload()
  await expect(answers().last()).toContainText('word')
  await idle()
  const words = (await answers().last().innerText()).split(/\s+/).filter(Boolean)
  expect(words).toHaveLength(120)
  await expect(transcript().getByText('Count for me')).toHaveCount(1)
})

test('Escape stops an answer and keeps what was written', async () => {
  upstream.script({ kind: 'tokens', count: 2000, gap_ms: 20 })
  await newChat()
  await say('Never end')
  await expect(answers().last()).toContainText('word word')
  await field().press('Escape')
  await expect(transcript().getByText('Stopped. What was written so far is kept.')).toBeVisible()
  await expect(answers().last()).toContainText('word word')
})

test('an edited message is asked again in a branch, and the original stays', async () => {
  await newChat()
  await say('First question')
  await expect(answers().last()).toHaveText('First question')
  await say('Second question')
  await expect(answers()).toHaveCount(2)
  await idle()
  const original = page.url()
  await transcript().getByText('Second question').first().hover()
  await transcript().getByRole('button', { name: 'Edit and ask again' }).last().click()
  await page.getByLabel('Edit the message').fill('Another question')
  await page.getByRole('button', { name: 'Send as new branch' }).click()
  await expect(page).not.toHaveURL(original)
  await expect(answers().last()).toHaveText('Another question')
  await expect(answers().first()).toHaveText('First question')
  await expect(transcript().getByText('Second question')).toHaveCount(0)
  await page.getByRole('link', { name: 'branch', exact: true }).click()
  await expect(page).toHaveURL(original)
  await expect(answers().last()).toHaveText('Second question')
})

test('messages sent meanwhile wait in a queue that can be changed', async () => {
  upstream.script({ kind: 'tokens', count: 200, gap_ms: 20 })
  await newChat()
  await say('Take your time')
  await expect(answers().last()).toContainText('word')
  await say('one')
  await say('two')
  await say('three')
  const queue = page.getByRole('region', { name: 'Queue' })
  await expect(queue.getByRole('listitem')).toHaveCount(3)
  await queue.getByRole('listitem').filter({ hasText: 'three' }).getByRole('button', { name: 'Move up' }).click()
  await expect(queue.getByRole('listitem').nth(1)).toContainText('three')
  await queue.getByRole('listitem').filter({ hasText: 'two' }).getByRole('button', { name: 'Take back' }).click()
  await expect(field()).toHaveValue('two')
  await queue.getByRole('listitem').filter({ hasText: 'one' }).getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('Edit the queued message').fill('first')
  await page.getByLabel('Edit the queued message').press('Enter')
  await expect(queue.getByRole('listitem').first()).toContainText('first')
  await field().press('Escape')
  await expect(answers().last()).toHaveText('three')
  await expect(answers().nth(-2)).toHaveText('first')
  await expect(field()).toHaveValue('two')
  await field().fill('')
})

test('a change to a queued message whose turn comes meanwhile goes to the text field', async () => {
  upstream.script({ kind: 'tokens', count: 2000, gap_ms: 20 })
  await newChat()
  await say('Take your time')
  await expect(answers().last()).toContainText('word')
  await say('one')
  await page.getByRole('region', { name: 'Queue' }).getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('Edit the queued message').fill('one, but better')
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect(answers().last()).toHaveText('one')
  await expect(field()).toHaveValue('one, but better')
  await field().fill('')
})

test('closing an older tab does not take the draft of a newer one with it', async () => {
  const older = await context.newPage()
  await older.goto('/chat')
  await expect(older.getByLabel('Message', { exact: true })).toBeVisible()
  await newChat()
  await field().fill('Only here')
  await page.goto('/logs')
  await older.close({ runBeforeUnload: true })
  await page.goto('/chat')
  await expect(field()).toHaveValue('Only here')
  await field().fill('')
})

test('a file is attached, sent and shown; a draft with it survives a reload', async () => {
  await newChat()
  await field().fill('Look at this')
  await page.getByLabel('Files to attach').setInputFiles({
    name: 'plants.txt',
    mimeType: 'text/plain',
    buffer: Buffer.from('water them'),
  })
  await expect(page.getByRole('list', { name: 'Attached files' })).toContainText('plants.txt')
  await expect(page.getByRole('button', { name: 'Send', exact: true })).toBeEnabled()
  await page.reload()
  await expect(field()).toHaveValue('Look at this')
  await expect(page.getByRole('list', { name: 'Attached files' })).toContainText('plants.txt')
  await field().press('Enter')
  await expect(transcript().getByRole('link', { name: /plants\.txt/ })).toBeVisible()
  await expect(answers().last()).toContainText('Look at this')
})

test('files are also taken by drop and by paste', async () => {
  await newChat()
  const files = page.getByRole('list', { name: 'Attached files' })
  const give = (event: 'drop' | 'paste', name: string) =>
    field().evaluate((node, [event, name]) => {
      const data = new DataTransfer()
      data.items.add(new File(['x'], name, { type: 'text/plain' }))
      const options = { bubbles: true, cancelable: true }
      node.dispatchEvent(
        event === 'drop'
          ? new DragEvent(event, { ...options, dataTransfer: data })
          : new ClipboardEvent(event, { ...options, clipboardData: data }),
      )
    }, [event, name] as const)
  await give('drop', 'dropped.txt')
  await give('paste', 'pasted.txt')
  await expect(files.getByRole('listitem')).toHaveCount(2)
  await files.getByRole('button', { name: 'Remove dropped.txt' }).click()
  await files.getByRole('button', { name: 'Remove pasted.txt' }).click()
  await expect(files).toHaveCount(0)
})

test('a conversation is exported as a file', async () => {
  await list().getByRole('link', { name: 'First question' }).first().click()
  await expect(answers().first()).toHaveText('First question')
  await page.getByRole('button', { name: 'Actions of this conversation' }).click()
  const download = page.waitForEvent('download')
  await page.getByRole('menuitem', { name: 'Export as Markdown' }).click()
  expect((await download).suggestedFilename()).toMatch(/\.md$/)
})

test('slash commands run from the text field, and a text that is none is sent', async () => {
  await newChat()
  await field().fill('/mod')
  await expect(page.getByRole('listbox', { name: 'Commands' }).getByRole('option')).toHaveCount(1)
  await field().press('Enter')
  await page.getByLabel('Search models').fill('built')
  await page.getByLabel('Search models').press('Enter')
  await expect(page.getByRole('button', { name: 'Model: Built-in assistant' })).toBeVisible()
  await say('what is 2^10?')
  await expect(answers().last()).toContainText('1024')
  // What was picked before the first message is the session's own model from then on.
  const id = new URL(page.url()).pathname.split('/').at(-1)
  const model = async () => (await (await page.request.get(`/api/sessions/${id}`)).json()).model
  await expect.poll(model).toBe('builtin:rules')
  await say('/nosuchcommand')
  await expect(transcript().getByText('/nosuchcommand').first()).toBeVisible()
  await idle()
  await say('/clear')
  await page.getByRole('dialog').getByRole('button', { name: 'Empty it' }).click()
  await expect(page.getByRole('heading', { name: 'What can I do for you?' })).toBeVisible()
})

test('a call that needs approval is answered by keyboard', async () => {
  upstream.script(
    { kind: 'tool', name: 'notes_create', arguments: { title: 'Plants', content: 'water them' } },
    { kind: 'text', text: 'Written.' },
  )
  await newChat()
  await say('Make a note')
  const card = page.getByRole('group', { name: /Approval of notes/ })
  await expect(card).toContainText('"title": "Plants"')
  await page.keyboard.press('Alt+1')
  await expect(answers().last()).toHaveText('Written.')
  const call = transcript().getByRole('button', { name: /notes\.create/ })
  await expect(call).toContainText('Done')
  await call.click()
  await expect(transcript().getByLabel('Arguments', { exact: true })).toContainText('Plants')
})

test('a question of the agent is answered where it stands', async () => {
  upstream.script(
    { kind: 'tool', name: 'ask_user', arguments: { question: 'Which colour?', choices: ['red', 'blue'] } },
    { kind: 'text', text: 'Noted.' },
  )
  await newChat()
  await say('Paint it')
  const card = page.getByRole('group', { name: 'Question of the agent' })
  await expect(card).toContainText('Which colour?')
  await expect(card.getByRole('button', { name: 'blue' })).toBeVisible()
  await card.getByRole('textbox', { name: 'Your answer' }).fill('violet')
  await card.getByRole('button', { name: 'Answer' }).click()
  await expect(answers().last()).toHaveText('Noted.')
  await transcript().getByRole('button', { name: /ask_user/ }).last().click()
  await expect(transcript().getByLabel('Result', { exact: true }).last()).toContainText('violet')
})

test('a call that was allowed for good is not asked about again, and the card says what that covers', async () => {
  const call = (title: string) => ({ kind: 'tool', name: 'notes_create', arguments: { title, content: 'x' } }) as const
  upstream.script(call('One'), { kind: 'text', text: 'First.' }, call('Two'), { kind: 'text', text: 'Second.' })
  await newChat()
  await say('Note one')
  const card = page.getByRole('group', { name: /Approval of notes/ })
  await expect(card).toContainText('notes.create with any arguments')
  await card.getByRole('button', { name: 'Always allow' }).click()
  await expect(answers().last()).toHaveText('First.')
  await say('Note two')
  await expect(answers().last()).toHaveText('Second.')
})

test('a failed answer says what to do and can be asked again', async () => {
  upstream.script({ kind: 'status', status: 401 })
  await newChat()
  await say('Will this work?')
  await expect(transcript().getByText('The provider refused the key')).toBeVisible()
  await transcript().getByRole('button', { name: 'Ask again', exact: true }).click()
  await expect(answers().last()).toHaveText('Will this work?')
  await expect(transcript().getByText('The provider refused the key')).toHaveCount(0)
})

test('what is written offline is kept, also through a reload, and sent once when the server is back', async () => {
  await newChat()
  await say('Before')
  await expect(answers().last()).toHaveText('Before')
  await idle()
  await context.setOffline(true)
  await say('While away')
  await expect(page.getByText(/sent when the server can be reached/)).toBeVisible()
  await field().fill('Half a thought')
  await context.setOffline(false)
  await page.reload()
  await expect(answers().last()).toHaveText('While away')
  await expect(answers()).toHaveCount(2)
  await expect(field()).toHaveValue('Half a thought')
  await field().fill('')
})

test('a conversation that was begun offline is listed, and begins by itself when the server is back', async () => {
  await newChat()
  await context.setOffline(true)
  await say('Begun offline')
  await expect(page.getByText(/sent when the server can be reached/)).toBeVisible()
  await newChat()
  await expect(list().getByRole('heading', { name: 'Not sent yet' })).toBeVisible()
  await context.setOffline(false)
  await expect(list().getByRole('heading', { name: 'Not sent yet' })).toHaveCount(0, { timeout: 15_000 })
  await list().getByRole('link', { name: 'Begun offline' }).click()
  await expect(answers().last()).toHaveText('Begun offline')
  await expect(answers()).toHaveCount(1)
})

test('conversations are renamed, pinned, found, deleted and brought back', async () => {
  await newChat()
  await say('Rename me')
  await expect(answers().last()).toHaveText('Rename me')
  const open = (name: string) => page.getByRole('button', { name: `Actions for ${name}` })
  await list().getByRole('link', { name: 'Rename me' }).hover()
  await open('Rename me').click()
  await page.getByRole('menuitem', { name: 'Rename' }).click()
  await list().getByLabel('Title', { exact: true }).fill('A better name')
  await list().getByLabel('Title', { exact: true }).press('Enter')
  await expect(page.getByRole('heading', { name: 'A better name' }).first()).toBeVisible()

  await open('A better name').click()
  await page.getByRole('menuitem', { name: 'Pin to the top' }).click()
  await expect(list().getByRole('heading').first()).toHaveText('Pinned')

  await page.getByLabel('Search conversations').fill('better')
  await expect(list().getByRole('link')).toHaveCount(1)
  await page.getByLabel('Search conversations').fill('')

  await open('A better name').click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await expect(list().getByRole('link', { name: 'A better name' })).toHaveCount(0)
  await page.getByRole('button', { name: 'Undo' }).click()
  await expect(list().getByRole('link', { name: 'A better name' })).toBeVisible()

  const gone = page.waitForRequest((request) => request.method() === 'DELETE')
  await open('A better name').click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await gone
  await page.reload()
  await expect(list().getByRole('link').first()).toBeVisible()
  await expect(list().getByRole('link', { name: 'A better name' })).toHaveCount(0)
})

test('everything is reachable on a phone', async () => {
  await page.setViewportSize({ width: 390, height: 844 })
  await page.goto('/chat')
  await page.getByRole('button', { name: 'Conversations' }).click()
  const drawer = page.getByRole('dialog', { name: 'Conversations' })
  await drawer.getByRole('link', { name: 'First question' }).first().click()
  await expect(drawer).toHaveCount(0)
  await expect(answers().first()).toHaveText('First question')
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  expect(overflow).toBeLessThanOrEqual(0)
})
