import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { Caller } from '../server/auth/principal.ts'
import { type BusEvent, createBus } from '../server/bus/bus.ts'
import type { AppError } from '../server/errors.ts'
import type { ToolContext } from '../server/tools/tool.ts'
import { createVault } from '../server/vault/service.ts'
import { notesTools } from '../server/vault/tools.ts'

const caller: Caller = { kind: 'user', handle: 'ann', id: 'b1', name: 'Test', scopes: new Set(['read', 'chat']) }
const reader: Caller = { ...caller, scopes: new Set(['read']) }
const silent = { debug() {}, info() {}, warn() {}, error() {} }

const folders: string[] = []
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})

async function aVault(notes: Record<string, string> = {}) {
  const home = await mkdtemp(join(tmpdir(), 'vault-'))
  folders.push(home)
  const root = join(home, 'vault')
  for (const [path, text] of Object.entries(notes)) await put(root, path, text)
  const events: BusEvent[] = []
  const bus = createBus()
  bus.subscribe((event) => events.push(event))
  const vault = createVault({ root, log: silent, bus, now: () => new Date('2026-03-01T10:00:00Z') })
  const tool = (name: string, input: Record<string, unknown>) => {
    const found = notesTools(vault).find((one) => one.name === name)
    assert.ok(found)
    return found.run(input, { caller, signal: new AbortController().signal } as ToolContext)
  }
  return { vault, root, home, events, tool }
}

async function put(root: string, path: string, text: string) {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), text)
}

const refused = (code: string, words: RegExp) => (error: AppError) => {
  assert.equal(error.code, code, error.message)
  assert.match(error.message, words)
  return true
}

describe('the vault', () => {
  it('lists Markdown files and leaves the folders of other programs alone', async () => {
    const { vault } = await aVault({
      'b.md': 'text',
      'a/deep/c.MD': '# Heading as title\n',
      'picture.png': 'x',
      '.obsidian/workspace.md': 'no',
      '.trash/gone.md': 'no',
      'node_modules/x/readme.md': 'no',
      '_showcase/index.md': 'no',
    })
    assert.deepEqual((await vault.list()).map((note) => [note.path, note.title]), [
      ['a/deep/c.MD', 'Heading as title'],
      ['b.md', 'b'],
    ])
  })

  it('is empty, not broken, before its folder exists', async () => {
    const { vault } = await aVault()
    assert.deepEqual(await vault.list(), [])
    assert.deepEqual(await vault.search('anything'), [])
    await assert.rejects(vault.read('x'), refused('not_found', /no note "x"/))
  })

  it('reads titles and tags from heads that are not quite YAML', async () => {
    const { vault } = await aVault({
      'list.md':
        '---\ntitle: "A: b"\ntags: [one, \'two\']\naliases:\n  - Other\nrelated: [[a]], [[b]]\n---\n# H\n#three and `#code` #42\n',
      'text.md': '---\ntags: work, home  # not a tag\n---\nx',
      'open.md': '---\nnever closed\n',
      'bom.md': '\uFEFF---\r\ntitle: With BOM\r\n---\r\nbody\r\n',
    })
    const notes = Object.fromEntries((await vault.list()).map((note) => [note.path, note]))
    assert.equal(notes['list.md']?.title, 'A: b')
    assert.deepEqual(notes['list.md']?.tags, ['one', 'two', 'three'])
    assert.deepEqual(notes['text.md']?.tags, ['work', 'home'])
    assert.equal(notes['open.md']?.title, 'open')
    assert.equal(notes['bom.md']?.title, 'With BOM')
    const note = await vault.read('list')
    assert.deepEqual(note.frontmatter.aliases, ['Other'])
    assert.equal(note.body, '# H\n#three and `#code` #42\n')
  })

  it('reads a note by path, file name, title, alias or wikilink, and says what comes near', async () => {
    const { vault } = await aVault({
      'projects/Garden Plan.md': '---\ntitle: The garden\naliases: [Beds]\n---\nTomatoes in May',
      'Café.md': 'Opening hours',
    })
    for (const name of ['projects/Garden Plan.md', 'garden plan', 'THE GARDEN', 'beds', '[[Garden Plan#May|x]]']) {
      assert.equal((await vault.read(name)).path, 'projects/Garden Plan.md', name)
    }
    assert.equal((await vault.read('cafe')).path, 'Café.md')
    await assert.rejects(vault.read('tomatoes'), refused('not_found', /near: projects\/Garden Plan\.md/))
  })

  it('finds the best note first and quotes the place with its line and heading', async () => {
    const { vault } = await aVault({
      'dentist.md': '# Dentist\n\n## Visits\nNext visit on 4 May at nine.\nBring the card.\n',
      'log.md': 'Called the dentist.\n',
      'start.md': 'art is long\n',
    })
    const hits = await vault.search('dentists')
    assert.deepEqual(hits.map((hit) => hit.path), ['dentist.md', 'log.md'])
    const [visit] = await vault.search('next visit')
    assert.equal(visit?.line, 4)
    assert.equal(visit?.heading, 'Visits')
    assert.equal(visit?.snippet, 'Next visit on 4 May at nine.\nBring the card.')
  })

  it('wants all words, falls back to some, and knows phrases and tags', async () => {
    const { vault } = await aVault({
      'both.md': 'red apple and green pear',
      'one.md': 'a red car',
      'tagged.md': '---\ntags: [fruit/stone]\n---\nplum',
    })
    assert.deepEqual((await vault.search('red pear')).map((hit) => hit.path), ['both.md'])
    assert.deepEqual((await vault.search('red banana')).length, 2)
    assert.deepEqual((await vault.search('"red car"')).map((hit) => hit.path), ['one.md'])
    assert.deepEqual((await vault.search('#fruit')).map((hit) => hit.path), ['tagged.md'])
    assert.deepEqual(await vault.search('zebra'), [])
    assert.equal((await vault.search('')).length, 3)
    assert.equal((await vault.search('', 2)).length, 2)
  })

  it('sees what other programs changed, added and removed', async () => {
    const { vault, root } = await aVault({ 'a.md': 'first' })
    assert.equal((await vault.search('first')).length, 1)
    await put(root, 'a.md', 'second, longer')
    await put(root, 'b.md', 'second too')
    assert.equal((await vault.search('second')).length, 2)
    await rm(join(root, 'a.md'))
    assert.deepEqual((await vault.search('second')).map((hit) => hit.path), ['b.md'])
  })

  it('makes a note with a head, tells the bus, and finds it at once', async () => {
    const { vault, root, events } = await aVault()
    const note = await vault.create(caller, { title: 'Shopping: "milk"?', content: 'Milk\nEggs', tags: ['home'] })
    assert.equal(note.path, 'Shopping milk.md')
    assert.equal(note.title, 'Shopping: "milk"?')
    const text = await readFile(join(root, note.path), 'utf8')
    assert.equal(
      text,
      '---\ntitle: "Shopping: \\"milk\\"?"\ntags: ["home"]\ncreated: 2026-03-01\nupdated: 2026-03-01\n---\n\nMilk\nEggs\n',
    )
    assert.deepEqual(events, [{ type: 'resource', resource: 'vault', action: 'created', id: 'Shopping milk.md' }])
    assert.equal((await vault.search('eggs'))[0]?.path, 'Shopping milk.md')
    assert.deepEqual(await readdir(root), ['Shopping milk.md'], 'no temporary file stays')
  })

  it('keeps a head that the text brings along', async () => {
    const { vault } = await aVault()
    const note = await vault.create(caller, { path: 'sub/x', content: '---\ntitle: Mine\n---\nhello\n' })
    assert.equal(note.path, 'sub/x.md')
    assert.equal(note.content, '---\ntitle: Mine\n---\nhello\n')
  })

  it('never overwrites a note, whatever the case of its name', async () => {
    const { vault, root } = await aVault({ 'Plan.md': 'mine' })
    await assert.rejects(vault.create(caller, { title: 'Plan' }), refused('conflict', /already is a note Plan\.md/))
    await assert.rejects(vault.create(caller, { title: 'plan' }), refused('conflict', /Plan\.md/))
    assert.equal(await readFile(join(root, 'Plan.md'), 'utf8'), 'mine')
  })

  it('lets only one of many who make the same note at once', async () => {
    const { vault } = await aVault()
    const all = await Promise.allSettled(
      Array.from({ length: 10 }, (_, at) => vault.create(caller, { title: 'One', content: `text ${at}` })),
    )
    assert.equal(all.filter((one) => one.status === 'fulfilled').length, 1)
  })

  it('replaces a note only by the hash that was seen, and keeps its line ends', async () => {
    const { vault, root } = await aVault({ 'w.md': 'one\r\ntwo\r\n' })
    const { hash } = await vault.read('w')
    await vault.create(caller, { path: 'w.md', content: 'one\nthree\n', hash })
    assert.equal(await readFile(join(root, 'w.md'), 'utf8'), 'one\r\nthree\r\n')
    await assert.rejects(
      vault.create(caller, { path: 'w.md', content: 'lost', hash }),
      refused('conflict', /changed meanwhile/),
    )
    assert.equal(await readFile(join(root, 'w.md'), 'utf8'), 'one\r\nthree\r\n')
  })

  it('refuses paths that leave the vault or reach hidden folders', async () => {
    const { vault, home } = await aVault({ 'a.md': 'x' })
    await writeFile(join(home, 'secret.md'), 'secret')
    const bad = [
      '../secret.md',
      '/etc/passwd',
      'a/../../secret',
      'a\\..\\b',
      '.git/x',
      'sub/.obsidian/x',
      'a//b',
      'x\0.md',
      'con',
      'a /b',
      'C:/x',
      'x'.repeat(300),
    ]
    for (const path of bad) {
      await assert.rejects(vault.create(caller, { path, content: 'no' }), refused('invalid_input', /^path: /), path)
    }
    await assert.rejects(vault.read('../secret.md'), refused('invalid_input', /relative to the vault/))
    assert.equal(await readFile(join(home, 'secret.md'), 'utf8'), 'secret')
    assert.deepEqual((await readdir(home)).sort(), ['secret.md', 'vault'])
  })

  it('follows no symbolic link out of the vault', { skip: process.platform === 'win32' }, async () => {
    const { vault, root, home } = await aVault({ 'a.md': 'x' })
    await put(home, 'outside/secret.md', 'secret')
    await symlink(join(home, 'outside'), join(root, 'linked'))
    await symlink(join(home, 'outside/secret.md'), join(root, 'link.md'))
    assert.deepEqual((await vault.list()).map((note) => note.path), ['a.md'])
    await assert.rejects(vault.read('link'), refused('not_found', /no note/))
    await assert.rejects(
      vault.create(caller, { path: 'linked/new', content: 'no' }),
      refused('invalid_input', /out of the vault/),
    )
    await assert.rejects(vault.create(caller, { path: 'link.md', content: 'no' }), refused('conflict', /already/))
    assert.deepEqual(await readdir(join(home, 'outside')), ['secret.md'])
  })

  it('needs the scope to write', async () => {
    const { vault } = await aVault()
    await assert.rejects(vault.create(reader, { title: 'x' }), refused('forbidden', /chat/))
  })

  it('searches a thousand notes quickly', async () => {
    const text = 'Lorem ipsum dolor sit amet, consectetur adipiscing elit.\n'.repeat(40)
    const { vault, root } = await aVault()
    await mkdir(root)
    for (let at = 0; at < 1000; at++) await writeFile(join(root, `n${at}.md`), `# Note ${at}\n\n${text}needle${at}\n`)
    await vault.search('warm')
    const begin = performance.now()
    assert.equal((await vault.search('needle777'))[0]?.path, 'n777.md')
    // A wide margin: it says that nothing is read again, not how quick a disk is.
    assert.ok(performance.now() - begin < 1500, `took ${performance.now() - begin} ms`)
  })
})

describe('the tools for notes', () => {
  it('search, read and create answer with JSON', async () => {
    const { tool } = await aVault({ 'a.md': 'the needle' })
    const found = JSON.parse((await tool('notes.search', { query: 'needle' })).text)
    assert.equal(found.results[0].snippet, 'the needle')
    const made = JSON.parse((await tool('notes.create', { title: 'New', content: 'x' })).text)
    assert.deepEqual([made.created, made.path], [true, 'New.md'])
    const read = JSON.parse((await tool('notes.read', { note: 'new' })).text)
    assert.equal(read.hash, made.hash)
    await tool('notes.create', { path: 'New.md', content: 'y', hash: read.hash })
    assert.equal(JSON.parse((await tool('notes.read', { note: 'new' })).text).content, 'y')
  })

  it('refuse bad input and name the field', async () => {
    const { tool } = await aVault()
    await assert.rejects(tool('notes.search', { query: 7 }), refused('invalid_input', /^query: must be text/))
    await assert.rejects(tool('notes.search', { limit: 0 }), refused('invalid_input', /^limit: /))
    await assert.rejects(tool('notes.read', {}), refused('invalid_input', /^note: /))
    await assert.rejects(tool('notes.create', { content: 'x' }), refused('invalid_input', /title or a path/))
    await assert.rejects(tool('notes.create', { title: 'x', other: 1 }), refused('invalid_input', /^other: /))
  })
})
