import process from 'node:process'
import { fanout } from './fanout.ts'
import type { Job, Result } from './jobs.ts'
import { requests } from './requests.ts'
import { streams } from './streams.ts'
import { turns } from './turns.ts'

// The load generator: one job as JSON, marks around the measured part, then the result as JSON.
const job = JSON.parse(process.argv[2]!) as Job
const begin = (): void => say({ mark: 'begin' })

const run = (): Promise<Result> => {
  switch (job.kind) {
    case 'requests':
      return requests(job, begin)
    case 'turns':
      return turns(job, begin)
    case 'streams':
      return streams(job, begin)
    case 'fanout':
      return fanout(job, begin)
  }
}
const result = await run()
say({ mark: 'end', result })
setTimeout(() => process.exit(0), 20)

function say(message: object): void {
  process.stdout.write(JSON.stringify(message) + '\n')
}
