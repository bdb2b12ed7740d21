/** How a command ends; `gatehouse help exit-codes` prints it. */
export const EXIT = { ok: 0, failed: 1, usage: 2, noServer: 3, notAllowed: 4, interrupted: 130 } as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** For people. */
export const EXIT_CODES_HELP = `Exit codes of gatehouse

    0  done
    1  it failed; the reason is on stderr
    2  wrong arguments
    3  no server answers
    4  the server does not allow it: no credential, a wrong one, or one without the scope
  130  interrupted with Ctrl-C
`

/** A failure with a message for people and the exit code that it ends the command with. */
export class CliError extends Error {
  readonly exitCode: ExitCode
  /** The server's word for it, such as `not_found`; empty for failures of our own. */
  readonly code: string

  constructor(exitCode: ExitCode, message: string, code = '') {
    super(message)
    this.exitCode = exitCode
    this.code = code
  }
}

/** Wrong arguments. */
export const usage = (message: string): CliError => new CliError(EXIT.usage, message)
