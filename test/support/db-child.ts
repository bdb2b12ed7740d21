// A process for the storage tests: `write FILE` acknowledges rows until it is killed, `hold FILE MS` keeps another
// process's write lock for a while, `lock HOME` takes the home and stays.
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { lockHome } from '../../server/db/lock.ts'
import { openDatabase } from '../../server/db/open.ts'

const [mode, path = '', ms = '0'] = process.argv.slice(2)
const say = (line: string) => process.stdout.write(`${line}\n`)

if (mode === 'lock') {
  try {
    await lockHome(path)
    say('locked')
    setInterval(() => {}, 1000)
  } catch (error) {
    say(`refused: ${(error as Error).message}`)
  }
} else {
  const db = await openDatabase({ url: pathToFileURL(path).href })
  if (mode === 'hold') {
    await db.kysely.transaction().execute(async () => {
      say('holding')
      await sleep(Number(ms))
    })
    await db.close()
  } else {
    for (;;) {
      const writes = [1, 2, 3].map(() => db.run('insert into acknowledged default values'))
      const events = db.batch([1, 2].map(() => ({ sql: 'insert into acknowledged default values' })))
      for (const write of writes) say(String((await write).lastInsertRowid))
      for (const { lastInsertRowid } of await events) say(String(lastInsertRowid))
    }
  }
}
