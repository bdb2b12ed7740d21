import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { differences, lineOf, readYaml, setYaml } from './yaml-edit.ts'

const FILE = `# mine
name: Ada   # short

server:
    port: 9000 # behind nginx
    allowed_hosts:
        - a.example
        - b.example
# the end
logging: { level: info }
`

describe('editing one setting of the text', () => {
  it('a value changes and its comment stays', () => {
    assert.equal(setYaml(FILE, ['server', 'port'], 9001), FILE.replace('9000', '9001'))
    assert.equal(setYaml(FILE, ['name'], 'Bo: b'), FILE.replace('Ada', '"Bo: b"'))
  })

  it('a new setting goes below its neighbours, indented as they are', () => {
    const result = setYaml(FILE, ['server', 'host'], '0.0.0.0')
    assert.match(result, /- b\.example\n {4}host: 0\.0\.0\.0\n# the end/)
    assert.equal(result.replace('    host: 0.0.0.0\n', ''), FILE)
  })

  it('a setting of a new group brings the group', () => {
    assert.equal(setYaml(FILE, ['agent', 'max_steps'], 5), `${FILE}\nagent:\n  max_steps: 5\n`)
    assert.equal(setYaml('a: 1\n', ['agent', 'max_steps'], 5), 'a: 1\nagent:\n  max_steps: 5\n')
    assert.equal(setYaml('', ['agent', 'max_steps'], 5), 'agent:\n  max_steps: 5\n')
    assert.equal(setYaml('# only words', ['name'], 'x'), '# only words\nname: x\n')
    assert.equal(setYaml('a: 1', ['b'], 2), 'a: 1\nb: 2\n')
  })

  it('a list is written anew and the rest is untouched', () => {
    const result = setYaml(FILE, ['server', 'allowed_hosts'], ['c.example'])
    assert.deepEqual(readYaml(result)?.server, { port: 9000, allowed_hosts: ['c.example'] })
    assert.ok(result.includes('# behind nginx') && result.includes('# the end'))
  })

  it('a text of several lines becomes a block', () => {
    assert.match(setYaml(FILE, ['name'], 'one\ntwo'), /^name: \|-\n {2}one\n {2}two\n/m)
  })

  it('what is written in braces is edited too', () => {
    assert.deepEqual(readYaml(setYaml(FILE, ['logging', 'level'], 'warn'))?.logging, { level: 'warn' })
    assert.equal(readYaml(setYaml(FILE, ['logging', 'level'], undefined))?.logging, undefined)
  })

  it('removing the last setting of a group removes the group', () => {
    assert.equal(setYaml('a: 1\nserver:\n  port: 1\nb: 2\n', ['server', 'port'], undefined), 'a: 1\nb: 2\n')
    assert.equal(setYaml('server:\n  port: 1\n', ['server', 'port'], undefined).trim().replace('{}', ''), '')
  })

  it('removing what is not there changes nothing', () => {
    assert.deepEqual(readYaml(setYaml(FILE, ['server', 'nope'], undefined)), readYaml(FILE))
  })

  it('text that cannot be read is left alone', () => {
    assert.equal(setYaml('a: [1', ['a'], 2), 'a: [1')
  })

  it('line ends of other systems stay readable', () => {
    assert.deepEqual(readYaml(setYaml('a: 1\r\nb:\r\n  c: 2\r\n', ['b', 'd'], 3)), { a: 1, b: { c: 2, d: 3 } })
  })

  it('a line is found by its path, or by the group around it', () => {
    assert.equal(lineOf(FILE, ['server', 'port']), 5)
    assert.equal(lineOf(FILE, ['server', 'host']), 4)
    assert.equal(lineOf(FILE, ['nope']), undefined)
  })

  it('differences name settings, and lists as a whole', () => {
    assert.deepEqual(differences({ a: { b: 1, c: [1] }, d: 1 }, { a: { b: 2, c: [1, 2] }, d: 1, e: 0 }), [
      ['a', 'b'],
      ['a', 'c'],
      ['e'],
    ])
  })
})
