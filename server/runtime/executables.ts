import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { currentRuntime } from './current.ts'
import type { Runtime } from './port.ts'

/** Where a runtime is, for programs that ask for another one than ours; undefined when it is not installed. */
export async function executableOf(name: Runtime['name'], path: string | undefined): Promise<string | undefined> {
  if ((await currentRuntime()).name === name) return process.execPath
  const folders = [...(path ?? '').split(delimiter), join(import.meta.dirname, '..', '..', 'node_modules', '.bin')]
  for (const folder of folders.filter(Boolean)) {
    const file = join(folder, process.platform === 'win32' ? `${name}.exe` : name)
    if (await access(file, constants.X_OK).then(() => true, () => false)) return file
  }
  return undefined
}
