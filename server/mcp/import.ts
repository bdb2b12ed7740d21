import * as v from 'valibot'
import { CreateMcpInput, McpName } from '../../shared/mcp.ts'
import { AppError, invalid } from '../errors.ts'
import { messageOf } from '../http/refusal-words.ts'

type Json = Record<string, unknown>

/** What was found in a pasted text. */
export type Found = {
  servers: CreateMcpInput[]
  skipped: { name: string; reason: string }[]
  inputs: { id: string; description: string; secret: boolean }[]
  notes: string[]
}

/** Fields of an entry that mean something here; the rest is kept for export. */
const KNOWN = new Set([
  'command',
  'args',
  'env',
  'cwd',
  'url',
  'serverUrl',
  'httpUrl',
  'type',
  'transport',
  'headers',
  'disabled',
  'enabled',
  'timeout',
  'name',
  'autoApprove',
  'alwaysAllow',
])
const REMOTE = ['url', 'serverUrl', 'httpUrl'] as const
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Reads MCP settings as other programs write them (spec conventions §4.5): `mcpServers`, VS Code's `servers` with
 * `inputs`, a bare map, one server, or a `claude mcp add` line. `name` is for a single server without one.
 * Lists of tools that need no approval are never taken over.
 */
export function importServers(text: string, name?: string): Found {
  const found: Found = { servers: [], skipped: [], inputs: [], notes: [] }
  if (/^\s*(?:\$\s*)?(?:npx\s+\S+\s+|\S*\/)?claude\s+mcp\s+add(?:-json)?\s/.test(text)) {
    const { entry, name: given } = commandLine(text)
    add(found, name ?? given, entry)
    return found
  }
  const data = parse(text)
  const vscode = isObject(data.mcp) && isObject(data.mcp.servers) ? data.mcp : data
  if (Array.isArray(vscode.inputs)) {
    found.inputs = vscode.inputs.filter(isObject).filter((input) => typeof input.id === 'string').map((input) => ({
      id: String(input.id),
      description: typeof input.description === 'string' ? input.description.slice(0, 500) : '',
      secret: input.password === true,
    }))
  }
  const map = [data.mcpServers, vscode.servers, data.servers].find(isObject)
  if (map) addAll(found, map)
  else if (isEntry(data)) add(found, name ?? (typeof data.name === 'string' ? data.name : ''), data)
  else if (Object.keys(data).length > 0 && Object.values(data).every(isObject)) addAll(found, data)
  else {
    throw invalid(
      'text',
      'has no MCP servers: paste {"mcpServers": {…}}, one server with command or url, or a claude mcp add line',
    )
  }
  return found
}

function addAll(found: Found, map: Json): void {
  for (const [name, entry] of Object.entries(map)) {
    if (isObject(entry)) add(found, name, entry)
    else found.skipped.push({ name, reason: 'is not a group of settings' })
  }
}

const isEntry = (data: Json): boolean => ['command', ...REMOTE].some((field) => typeof data[field] === 'string')

function add(found: Found, name: string, entry: Json): void {
  const url = REMOTE.map((field) => entry[field]).find((value) => typeof value === 'string')
  const timeout = typeof entry.timeout === 'number' && entry.timeout > 0 ? seconds(entry.timeout) : undefined
  const type = String(entry.type ?? entry.transport ?? '').toLowerCase()
  const approved = entry.autoApprove ?? entry.alwaysAllow
  if (approved !== undefined && approved !== false && !(Array.isArray(approved) && approved.length === 0)) {
    found.notes.push(
      `${name}: the list of tools that need no approval was not taken over; allow them here when you want to.`,
    )
  }
  const result = v.safeParse(CreateMcpInput, {
    name: nameFrom(name),
    ...(entry.command === undefined ? {} : { command: entry.command }),
    ...(Array.isArray(entry.args) ? { args: entry.args.map(String) } : {}),
    ...(isObject(entry.env) ? { env: entry.env } : {}),
    ...(typeof entry.cwd === 'string' && entry.cwd ? { cwd: entry.cwd } : {}),
    ...(url === undefined ? {} : { url, transport: transportOf(type) }),
    ...(isObject(entry.headers) ? { headers: entry.headers } : {}),
    ...(timeout === undefined ? {} : { timeout_seconds: timeout }),
    enabled: entry.disabled !== true && entry.enabled !== false,
    source: 'import',
    extra: Object.fromEntries(Object.entries(entry).filter(([field]) => !KNOWN.has(field))),
  })
  if (result.success) found.servers.push(result.output)
  else {
    const issue = result.issues[0]
    const field = issue.path?.map((step) => String(step.key)).join('.')
    found.skipped.push({ name: name || '(no name)', reason: `${field ? `${field}: ` : ''}${messageOf(issue)}` })
  }
}

/** Cline and Roo count seconds, others milliseconds: nobody waits an hour for a call, and none ends in a tenth of one. */
const seconds = (timeout: number): number => timeout >= 3600 ? Math.max(1, timeout / 1000) : Math.max(1, timeout)

function transportOf(type: string): 'http' | 'sse' | 'auto' {
  if (type === 'sse') return 'sse'
  return /^(streamable[-_]?)?http$/.test(type) ? 'http' : 'auto'
}

/** Names elsewhere may hold anything; what stands in paths is what `McpName` allows. */
function nameFrom(name: string): string {
  if (v.safeParse(McpName, name).success) return name
  return name.trim().replace(/[^A-Za-z0-9 ._@-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 64).trim() || 'server'
}

function parse(text: string): Json {
  // Some editors write comments and trailing commas into their settings.
  const plain = text.replace(
    /("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[^]*?\*\/|,(?=\s*[}\]])/g,
    (_, quoted: string | undefined) => quoted ?? '',
  ).trim()
  // A snippet cut out of a file lacks its braces.
  for (const candidate of [plain, `{${plain}}`]) {
    try {
      const data = JSON.parse(candidate) as unknown
      if (isObject(data)) return data
    } catch { /* the next reading, or the complaint below */ }
  }
  throw new AppError('invalid_input', 'text: is neither JSON nor a claude mcp add line', {
    errors: [{ pointer: '/text', message: 'is neither JSON nor a claude mcp add line' }],
  })
}

/** `claude mcp add [options] <name> [--] <command or url> [args…]`, and `add-json <name> <json>`. */
function commandLine(text: string): { name: string; entry: Json } {
  const words = split(text.replace(/\\\r?\n/g, ' ').trim())
  const at = words.findIndex((word) => /^add(-json)?$/.test(word))
  const rest = words.slice(at + 1)
  const plain: string[] = []
  const env: Record<string, string> = {}
  const headers: Record<string, string> = {}
  let transport = ''
  while (rest.length > 0) {
    const word = rest.shift()!
    if (word === '--') {
      plain.push(...rest)
      break
    }
    const [flag, inline] = /^(--?[a-z-]+)=(.*)$/s.exec(word)?.slice(1) ?? [word]
    const value = () => inline ?? rest.shift() ?? ''
    if (flag === '-t' || flag === '--transport') transport = value()
    else if (flag === '-s' || flag === '--scope') value()
    else if (flag === '-e' || flag === '--env') {
      const [, key, content] = /^([^=]+)=(.*)$/s.exec(value()) ?? []
      if (key) env[key] = content ?? ''
    } else if (flag === '-H' || flag === '--header') {
      const [, key, content] = /^([^:]+):\s*(.*)$/s.exec(value()) ?? []
      if (key) headers[key.trim()] = content ?? ''
    } else {
      plain.push(word)
      // From the program on, options are its own.
      if (plain.length === 2) {
        plain.push(...rest.filter((part, index) => !(index === 0 && part === '--')))
        break
      }
    }
  }
  const [name = '', target = '', ...args] = plain
  if (words[at] === 'add-json') return { name, entry: parse(target) }
  if (target === '') throw invalid('text', 'has a claude mcp add line without a command or an address')
  if (transport === 'http' || transport === 'sse' || /^https?:\/\//.test(target)) {
    return { name, entry: { url: target, type: transport, headers } }
  }
  return { name, entry: { command: target, args, env } }
}

/** Words of a shell line: quotes and backslashes, nothing is expanded. */
function split(line: string): string[] {
  const words = line.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/gs)
  return [...words].map(([word]) =>
    word.replace(
      /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs,
      (_, double?: string, single?: string, escaped?: string) =>
        double !== undefined ? double.replace(/\\(["\\$`])/g, '$1') : single ?? escaped ?? '',
    )
  )
}
