import { isSecretName } from '../system/redact.ts'

/** How a server is reached, secrets included. `command` is the program and, rarely, its first arguments. */
export type McpSpec = {
  command: string[] | null
  args: string[]
  url: string | null
  env: Record<string, string>
  headers: Record<string, string>
  /** Answers to `${input:id}`. */
  inputs: Record<string, string>
  oauth_client: { client_id: string; client_secret?: string; scope?: string } | null
}

const REFERENCE = /\$\{[^}]*\}/
const FLAG = /^--?([\w-]+)(?:=(.*))?$/s
/** Shapes of well-known keys, whatever their field is called. */
const KEY_SHAPE =
  /^(?:(?:sk|pk|rk|ghp|gho|ghs|github_pat|xox[abprs]|glpat|hf|figd|ntn|secret)[-_][\w-]{12,}|eyJ[\w-]{20,}\..+)$/
/** Names beside those of the log's rules that mostly hold a secret in the settings of these servers. */
const ALSO_SECRET =
  /(^|[-_])(key|pat|pwd|pass|auth|dsn|jwt|apikey|bearer|session)$|connection[-_]?string|database[-_]?url/i

const isSecret = (name: string): boolean => isSecretName(name) || ALSO_SECRET.test(name)

/** A secret as it is shown: its last characters, of long ones only; references are no secrets. */
export function mask(value: string): string {
  if (value === '' || REFERENCE.test(value)) return value
  return value.length >= 12 ? `****${value.slice(-4)}` : '****'
}

/** The spec with everything that may be a secret masked: values of variables and headers, keys among arguments. */
export function shownSpec(spec: McpSpec): McpSpec {
  return {
    command: spec.command && maskArgs(spec.command),
    args: maskArgs(spec.args),
    url: spec.url === null ? null : maskUrl(spec.url),
    env: mapValues(
      spec.env,
      (name, value) => isSecret(name) || value.length >= 16 || KEY_SHAPE.test(value) ? mask(value) : value,
    ),
    headers: mapValues(
      spec.headers,
      (name, value) => /^(accept|content-type|user-agent|x-mcp-.*|.*-version)$/i.test(name) ? value : mask(value),
    ),
    inputs: mapValues(spec.inputs, (_, value) => mask(value)),
    oauth_client: spec.oauth_client && {
      ...spec.oauth_client,
      ...(spec.oauth_client.client_secret ? { client_secret: mask(spec.oauth_client.client_secret) } : {}),
    },
  }
}

/** A change as a form sends it: what equals the masked value means "leave it". */
export function mergeSpec(before: McpSpec, change: Partial<McpSpec>): McpSpec {
  const shown = shownSpec(before)
  const kept = (now: Record<string, string>, was: Record<string, string>, wasShown: Record<string, string>) =>
    mapValues(now, (name, value) => Object.hasOwn(was, name) && value === wasShown[name] ? was[name]! : value)
  // A masked argument is known by its place, or by what is shown of it when others moved it.
  const list = (now: string[], was: string[], wasShown: string[]) =>
    now.map((value, index) => {
      const at = value === wasShown[index] ? index : wasShown.indexOf(value)
      return at >= 0 ? was[at]! : value
    })
  const { oauth_client } = change
  return {
    command: change.command === undefined
      ? before.command
      : change.command && list(change.command, before.command ?? [], shown.command ?? []),
    args: change.args === undefined ? before.args : list(change.args, before.args, shown.args),
    url: change.url === undefined || change.url === shown.url ? before.url : change.url,
    env: change.env === undefined ? before.env : kept(change.env, before.env, shown.env),
    headers: change.headers === undefined ? before.headers : kept(change.headers, before.headers, shown.headers),
    inputs: change.inputs === undefined
      ? before.inputs
      : { ...before.inputs, ...kept(change.inputs, before.inputs, shown.inputs) },
    oauth_client: oauth_client === undefined
      ? before.oauth_client
      : oauth_client && oauth_client.client_secret === shown.oauth_client?.client_secret && before.oauth_client
      ? {
        ...oauth_client,
        ...(before.oauth_client.client_secret ? { client_secret: before.oauth_client.client_secret } : {}),
      }
      : oauth_client,
  }
}

function maskArgs(args: string[]): string[] {
  return args.map((arg, index) => {
    const own = FLAG.exec(arg)
    if (own?.[2] !== undefined && isSecret(own[1]!)) return `${arg.slice(0, arg.indexOf('=') + 1)}${mask(own[2])}`
    if (own) return arg
    const flag = FLAG.exec(args[index - 1] ?? '')
    if (flag && flag[2] === undefined && isSecret(flag[1]!)) return mask(arg)
    const header = /^([\w-]+):\s*(.+)$/s.exec(arg)
    if (header && isSecret(header[1]!)) return `${header[1]}: ${mask(header[2]!)}`
    return KEY_SHAPE.test(arg) ? mask(arg) : arg.replace(/(:\/\/[^\s/:@]*:)([^\s/@]+)@/, '$1****@')
  })
}

/** Keys in the query, which some services ask for. */
function maskUrl(text: string): string {
  return text.replace(
    /([?&])([^=&#]+)=([^&#]*)/g,
    (whole, sign: string, name: string, value: string) =>
      isSecret(name) || KEY_SHAPE.test(value) ? `${sign}${name}=${mask(value)}` : whole,
  )
}

const mapValues = (
  values: Record<string, string>,
  change: (name: string, value: string) => string,
): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(name, value)]))
