import { currentRuntime } from '../runtime/current.ts'
import { readBuild } from '../system/build.ts'
import type { Command } from './command.ts'

export const version: Command = {
  name: 'version',
  summary: 'The version of this program and of its runtime (also --version)',
  run: async ({ out }) => {
    const { version, commit } = readBuild()
    const runtime = await currentRuntime()
    const value = { version, commit, runtime: runtime.name, runtime_version: runtime.version }
    out.show(value, () => out.print(`gatehouse ${version} (${runtime.name} ${runtime.version})`))
  },
}
