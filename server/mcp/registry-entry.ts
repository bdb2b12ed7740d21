import type { CreateMcpInput } from '../../shared/mcp.ts'
import { AppError, invalid } from '../errors.ts'

/** What a person, or a template, gives a value. */
type Input = {
  name?: string
  description?: string
  isRequired?: boolean
  isSecret?: boolean
  value?: string
  default?: string
  valueHint?: string
  type?: string
  variables?: Record<string, Input>
}

type Transport = { type?: string; url?: string; headers?: Input[]; variables?: Record<string, Input> }

type Package = {
  registryType?: string
  identifier?: string
  version?: string
  runtimeHint?: string
  transport?: Transport
  environmentVariables?: Input[]
  runtimeArguments?: Input[]
  packageArguments?: Input[]
}

/** `server.json` of the MCP registry, as far as it is used here. */
export type RegistryServer = {
  name: string
  version?: string
  title?: string
  description?: string
  status?: string
  packages?: Package[]
  remotes?: Transport[]
}

export type Filled = {
  env: Record<string, string>
  headers: Record<string, string>
  placeholders: Record<string, string>
}

const RUNTIMES: Record<string, string> = { npm: 'npx', pypi: 'uvx', oci: 'docker', nuget: 'dnx' }
const TOKEN = /\{([\w.-]+)\}/g

/** What a form has to ask before a server can be installed (spec openagent-api §6). */
export const requirementsOf = (server: RegistryServer) => ({
  packages: (server.packages ?? []).map((entry, index) => ({
    index,
    runtime: RUNTIMES[entry.registryType ?? ''] ?? null,
    registryType: entry.registryType ?? null,
    identifier: entry.identifier ?? null,
    version: entry.version ?? null,
    transport: entry.transport?.type ?? 'stdio',
    env_required: (entry.environmentVariables ?? []).map(fieldOf),
    placeholders: [
      ...placeholdersOf([...entry.runtimeArguments ?? [], ...entry.packageArguments ?? []]),
      ...(entry.environmentVariables ?? []).flatMap((input) => tokensOf(input.value ?? '', input.variables)),
    ],
    supported: isSupported(entry),
  })),
  remotes: (server.remotes ?? []).map((entry, index) => ({
    index,
    url: entry.url ?? null,
    transport: entry.type ?? 'streamable-http',
    header_required: (entry.headers ?? []).map(fieldOf),
    placeholders: [
      ...tokensOf(entry.url ?? '', entry.variables),
      ...(entry.headers ?? []).flatMap((header) => tokensOf(header.value ?? '', header.variables)),
    ],
  })),
})

/** Program and arguments of a package. Throws `unprocessable` for kinds that can't be started, `invalid_input`. */
export function commandOf(entry: Package, filled: Filled): Partial<CreateMcpInput> {
  const { registryType = '', identifier = '', version } = entry
  if (!isSupported(entry)) {
    throw new AppError(
      'unprocessable',
      `Packages of the kind "${registryType}" over ${entry.transport?.type} can't be started here`,
    )
  }
  // What stands where a program's own options may stand must not be read as one.
  if (!/^[@\w][\w@./:+-]*$/.test(identifier) || (version !== undefined && !/^\w[\w.+-]*$/.test(version))) {
    throw new AppError('unprocessable', 'The registry names a package in a way that is not safe to start')
  }
  const env = valuesOf(entry.environmentVariables ?? [], filled.env, 'env', filled.placeholders)
  const before = argumentsOf(entry.runtimeArguments ?? [], filled.placeholders)
  const after = argumentsOf(entry.packageArguments ?? [], filled.placeholders)
  const pin = (sign: string) => version && version !== 'latest' ? `${identifier}${sign}${version}` : identifier
  const variables = Object.keys(env).flatMap((name) => ['-e', name])
  const args = registryType === 'npm'
    ? ['-y', ...before, pin('@')]
    : registryType === 'pypi'
    ? [...before, pin('==')]
    : registryType === 'oci'
    ? ['run', '-i', '--rm', ...variables, ...before, identifier.includes(':') ? identifier : pin(':')]
    : [...before, pin('@'), '--yes', '--']
  return { command: [RUNTIMES[registryType]!], args: [...args, ...after], env }
}

/** Address and headers of a remote. */
export function remoteOf(entry: Transport, filled: Filled): Partial<CreateMcpInput> {
  const url = fill(entry.url ?? '', entry.variables, filled.placeholders)
  return {
    url,
    transport: entry.type === 'sse' ? 'sse' : 'http',
    headers: valuesOf(entry.headers ?? [], filled.headers, 'headers', filled.placeholders),
  }
}

const isSupported = ({ registryType, transport }: Package): boolean =>
  Object.hasOwn(RUNTIMES, registryType ?? '') && (transport?.type ?? 'stdio') === 'stdio'

const fieldOf = (input: Input) => ({
  name: input.name ?? '',
  isSecret: input.isSecret === true,
  isRequired: input.isRequired === true,
  ...(input.description ? { description: input.description } : {}),
  ...(input.default === undefined ? {} : { default: input.default }),
  ...(input.value === undefined ? {} : { value_template: input.value }),
})

const placeholdersOf = (inputs: Input[]) =>
  inputs.flatMap((input) =>
    input.value === undefined
      ? [{ token: tokenOf(input), ...(input.description ? { description: input.description } : {}) }]
      : tokensOf(input.value, input.variables)
  ).filter(({ token }) => token !== '')

const tokenOf = (input: Input): string => input.valueHint ?? input.name?.replace(/^-+/, '') ?? ''

const tokensOf = (template: string, variables: Record<string, Input> | undefined) =>
  [...template.matchAll(TOKEN)].map(([, token]) => ({
    token: token!,
    ...(variables?.[token!]?.description ? { description: variables[token!]!.description } : {}),
  }))

/** Tokens of a template replaced; one without a value is asked for by name. */
function fill(template: string, variables: Record<string, Input> | undefined, given: Record<string, string>): string {
  return template.replace(TOKEN, (_, token: string) => {
    const value = given[token] ?? variables?.[token]?.value ?? variables?.[token]?.default
    if (value === undefined) throw invalid(`placeholders.${token}`, 'is missing')
    return value
  })
}

function valuesOf(
  inputs: Input[],
  given: Record<string, string>,
  field: string,
  placeholders: Record<string, string>,
): Record<string, string> {
  const values: Record<string, string> = { ...given }
  for (const input of inputs) {
    if (!input.name || given[input.name]) continue
    const value = input.value === undefined ? input.default : fill(input.value, input.variables, placeholders)
    if (value !== undefined && value !== '') values[input.name] = value
    else if (input.isRequired) throw invalid(`${field}.${input.name}`, 'is missing')
  }
  return values
}

function argumentsOf(inputs: Input[], given: Record<string, string>): string[] {
  return inputs.flatMap((input) => {
    const token = tokenOf(input)
    const value = input.value === undefined ? given[token] ?? input.default : fill(input.value, input.variables, given)
    if (value === undefined) {
      if (input.isRequired) throw invalid(`placeholders.${token}`, 'is missing')
      return []
    }
    return input.type === 'named' && input.name ? [input.name, value].filter((part) => part !== '') : [value]
  })
}
