import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { createSecrets } from './service.ts'

let home: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'gatehouse-secrets-'))
})

afterEach(() => rm(home, { recursive: true, force: true }))

const secrets = (env: Record<string, string> = {}, folder = home) => createSecrets({ home: folder, env })

describe('secrets', () => {
  it('open again to what was sealed, in this process and the next', () => {
    for (const plain of ['sk-123', '', 'ünï🔑', 'x'.repeat(100_000)]) {
      const sealed = secrets().seal(plain)
      assert.match(sealed, /^v1:[0-9a-f]{8}:[\w-]+$/)
      assert.equal(secrets().open(sealed), plain)
    }
  })

  it('never look the same twice, nor like their text', () => {
    const { seal } = secrets()
    assert.notEqual(seal('password'), seal('password'))
    assert.ok(!Buffer.from(seal('password').split(':')[2]!, 'base64url').includes('password'))
  })

  it('that were changed or cut do not open', () => {
    const { seal, open } = secrets()
    const [version, key, body] = seal('password').split(':') as [string, string, string]
    for (let i = 0; i < body.length - 1; i++) {
      const changed = body.slice(0, i) + (body[i] === 'A' ? 'B' : 'A') + body.slice(i + 1)
      assert.throws(() => open(`${version}:${key}:${changed}`), /damaged/)
    }
    for (const cut of ['', body.slice(0, 8), body.slice(0, -4)]) {
      assert.throws(() => open(`${version}:${key}:${cut}`), /damaged/)
    }
    for (const odd of ['', 'password', 'v2:00000000:AAAA', 'v1:x']) assert.throws(() => open(odd), /format/)
  })

  it('of another key say so, and what to do', async () => {
    const sealed = secrets().seal('password')
    await rm(join(home, 'secret.key'))
    assert.throws(() => secrets().open(sealed), /another key .* Restore the secret\.key/)
  })

  it('have a key that only its owner can read', { skip: platform() === 'win32' }, async () => {
    secrets()
    const path = join(home, 'secret.key')
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(home), ['secret.key'])
    await chmod(path, 0o640)
    assert.throws(() => secrets(), new RegExp(`chmod 600 '${path}'`))
  })

  it('keep the key of the start that came first', async () => {
    const first = secrets()
    const key = await readFile(join(home, 'secret.key'), 'utf8')
    assert.equal(secrets().open(first.seal('x')), 'x')
    assert.equal(await readFile(join(home, 'secret.key'), 'utf8'), key)
  })

  it('take the key from the environment or a file, and then write none', async () => {
    const key = randomBytes(32)
    const file = join(home, 'given.key')
    await writeFile(file, key.toString('hex'), { mode: 0o600 })
    const sealed = secrets({ GATEHOUSE_SECRET_KEY: key.toString('base64') }).seal('x')
    assert.equal(secrets({ GATEHOUSE_SECRET_KEY_FILE: file }).open(sealed), 'x')
    assert.equal(createSecrets({ home, env: {}, file }).open(sealed), 'x')
    assert.deepEqual(await readdir(home), ['given.key'])
  })

  it('refuse a key that is none, and never print it', async () => {
    await writeFile(join(home, 'secret.key'), 'c2hvcnQ=', { mode: 0o600 })
    assert.throws(
      () => secrets(),
      (error: Error) => /not a secret key/.test(error.message) && !/c2hvcnQ/.test(error.message),
    )
    assert.throws(
      () => secrets({ GATEHOUSE_SECRET_KEY: 'hunter2' }),
      /^AppError: GATEHOUSE_SECRET_KEY is not a secret key/,
    )
    assert.throws(() => secrets({ GATEHOUSE_SECRET_KEY_FILE: join(home, 'none') }), /can't be read/)
  })
})
