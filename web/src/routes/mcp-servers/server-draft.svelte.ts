import type { CreateMcpInput, Mcp, McpTransport, UpdateMcpInput } from '$shared/mcp.ts'

/** One variable or header as it is typed. */
export type Pair = { id: number; name: string; value: string }

export type Kind = 'program' | 'address'

let next = 1
const pair = (name = '', value = ''): Pair => ({ id: next++, name, value })
const pairsOf = (values: Record<string, string>): Pair[] =>
  Object.entries(values).map(([name, value]) => pair(name, value))
const linesOf = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter(Boolean)

/** What a line of its own can't hold is written as a JSON text. */
const lineOf = (arg: string): string => /^$|^\s|\s$|\n|^"/.test(arg) ? JSON.stringify(arg) : arg
function argOf(line: string): string {
  try {
    const value: unknown = line.startsWith('"') ? JSON.parse(line) : line
    return typeof value === 'string' ? value : line
  } catch {
    return line
  }
}

/** A server as it stands in the form. What is shown masked is sent back masked, which means "leave it". */
export class ServerDraft {
  name = $state('')
  kind = $state<Kind>('program')
  command = $state('')
  /** One a line. */
  args = $state('')
  url = $state('')
  transport = $state<McpTransport>('auto')
  env = $state<Pair[]>([])
  headers = $state<Pair[]>([])
  inputs = $state<Pair[]>([])
  cwd = $state('')
  timeout = $state('')
  roots = $state('')
  trustHints = $state(false)
  allowSampling = $state(false)
  clientId = $state('')
  clientSecret = $state('')
  scope = $state('')
  /** How many of the first arguments belong to the command; a masked one is known by its place. */
  #ofCommand = 0

  constructor(mcp?: Mcp) {
    if (!mcp) return
    this.name = mcp.name
    this.kind = mcp.url === null ? 'program' : 'address'
    this.command = mcp.command?.[0] ?? ''
    this.args = [...mcp.command?.slice(1) ?? [], ...mcp.args].map(lineOf).join('\n')
    this.#ofCommand = Math.max(0, (mcp.command?.length ?? 0) - 1)
    this.url = mcp.url ?? ''
    this.transport = mcp.transport
    this.env = pairsOf(mcp.env)
    this.headers = pairsOf(mcp.headers)
    this.inputs = mcp.inputs_missing.map((id) => pair(id))
    this.cwd = mcp.cwd ?? ''
    this.timeout = mcp.timeout_seconds === null ? '' : String(mcp.timeout_seconds)
    this.roots = mcp.roots.join('\n')
    this.trustHints = mcp.trust_hints
    this.allowSampling = mcp.allow_sampling
    this.clientId = mcp.oauth_client?.client_id ?? ''
    this.clientSecret = mcp.oauth_client?.client_secret ?? ''
    this.scope = mcp.oauth_client?.scope ?? ''
  }

  static add(list: Pair[]): void {
    list.push(pair())
  }

  /** Why it can't be sent yet; undefined when it can. */
  get obstacle(): string | undefined {
    if (this.name.trim() === '') return 'Give it a name'
    if (this.kind === 'program' && this.command.trim() === '') return 'Name the program that is started'
    if (this.kind === 'address' && this.url.trim() === '') return 'Enter its address'
    if (this.timeout.trim() !== '' && !(Number(this.timeout) >= 1)) return 'The time-out is not a number of seconds'
    return undefined
  }

  /** All fields, for a new server. */
  toInput(): CreateMcpInput {
    return { name: this.name.trim(), ...this.fields() }
  }

  /** All fields, for a change. */
  fields(): UpdateMcpInput {
    const program = this.kind === 'program'
    const args = linesOf(this.args).map(argOf)
    const command = [this.command.trim(), ...args.slice(0, this.#ofCommand)]
    const inputs = valuesOf(this.inputs)
    return {
      ...(program
        ? { command, args: args.slice(this.#ofCommand), url: null, transport: 'auto' }
        : { url: this.url.trim(), command: null, args: [], transport: this.transport }),
      env: program ? valuesOf(this.env) : {},
      headers: program ? {} : valuesOf(this.headers),
      ...(Object.keys(inputs).length > 0 ? { inputs } : {}),
      cwd: program && this.cwd.trim() ? this.cwd.trim() : null,
      timeout_seconds: this.timeout.trim() === '' ? null : Number(this.timeout),
      roots: linesOf(this.roots),
      trust_hints: this.trustHints,
      allow_sampling: this.allowSampling,
      oauth_client: !program && this.clientId.trim()
        ? {
          client_id: this.clientId.trim(),
          ...(this.clientSecret ? { client_secret: this.clientSecret } : {}),
          ...(this.scope.trim() ? { scope: this.scope.trim() } : {}),
        }
        : null,
    }
  }
}

/** What has to be sent: the rest may have been changed elsewhere. How a server is reached goes together. */
export function changedOf(before: UpdateMcpInput, now: UpdateMcpInput): UpdateMcpInput {
  const differs = (field: string) => JSON.stringify(of(before, field)) !== JSON.stringify(of(now, field))
  const reach = REACH.some(differs)
  return Object.fromEntries(Object.entries(now).filter(([field]) => REACH.includes(field) ? reach : differs(field)))
}

const REACH = ['command', 'args', 'url', 'transport']
const of = (input: UpdateMcpInput, field: string): unknown => (input as Record<string, unknown>)[field]

/** Rows without a name are unfinished, and inputs without a value not given. */
const valuesOf = (pairs: Pair[]): Record<string, string> =>
  Object.fromEntries(pairs.filter(({ name }) => name.trim() !== '').map(({ name, value }) => [name.trim(), value]))
