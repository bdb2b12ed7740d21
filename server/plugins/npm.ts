import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { AppError } from '../errors.ts'

/** Runs npm and gives what it printed. Throws `AppError` with npm's own words for why not. */
export type Npm = (args: string[], options: { cwd: string; timeoutMs: number }) => Promise<string>

const MAX_OUTPUT = 16 * 1024 * 1024

/** npm as the owner set it up, with its registry and proxies; of our variables it gets only those for that. */
export const createNpm = (variables: () => Record<string, string | undefined>): Npm => async (args, options) => {
  const own = Object.entries(variables()).filter(([name]) =>
    /^(PATH|HOME|LANG|TMPDIR|XDG_\w+|(https?|no)_proxy|NODE_EXTRA_CA_CERTS|npm_config_\w+)$/i.test(name)
  )
  try {
    const { stdout } = await promisify(execFile)('npm', args, {
      cwd: options.cwd,
      env: Object.fromEntries(own) as NodeJS.ProcessEnv,
      timeout: options.timeoutMs,
      maxBuffer: MAX_OUTPUT,
    })
    return stdout
  } catch (error) {
    const { code, killed, stderr } = error as { code?: string | number; killed?: boolean; stderr?: string }
    if (code === 'ENOENT') {
      throw new AppError('unavailable', 'npm is not installed here. Install it, or install the plugin from a folder.')
    }
    const why = wordsOf(stderr ?? '') ||
      (killed ? `it took longer than ${options.timeoutMs / 1000} s` : `it ended with code ${code ?? 'unknown'}`)
    throw new AppError('bad_gateway', `npm could not do this: ${why}`)
  }
}

/** The first of npm's own words, without where on this machine it keeps its log. */
const wordsOf = (stderr: string): string =>
  stderr.split('\n').flatMap((line) => /^npm (?:error|ERR!) (?!.*_logs|.*complete log)(.*\S)/.exec(line)?.[1] ?? [])
    .slice(0, 3).join(' ')
