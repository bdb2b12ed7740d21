import * as v from 'valibot'
import { Channel, ExternalGateway, Plugins } from './plugin-settings.ts'
import { flag, text, whole } from './setting.ts'

/** Sections that live in the database: refused by PATCH and dropped by PUT, as OpenAgent's clients expect. */
export const DATABASE_SECTIONS = ['providers', 'models', 'mcp', 'mcps', 'scheduled', 'scheduled_tasks'] as const

/** A name, an address or a range of addresses; the features that use it parse it further. */
const Host = v.pipe(
  v.string('must be text'),
  v.regex(/^[\w.*:[\]-]+(\/\d{1,3})?$/, 'must be a host name, an address, or a range such as 10.0.0.0/8'),
)

const Address = v.pipe(
  v.string('must be text'),
  v.regex(
    /^((\d{1,3}\.){3}\d{1,3}(\/([12]?\d|3[0-2]))?|[0-9a-fA-F]*:[0-9a-fA-F:.]*(\/(\d{1,2}|1[01]\d|12[0-8]))?)$/,
    'must be an address or a range such as 10.0.0.0/8',
  ),
)

const Url = (schemes: string[], problem: string) =>
  v.pipe(
    v.string('must be text'),
    v.check((value) => URL.canParse(value) && schemes.includes(new URL(value).protocol), problem),
  )

const Server = v.object({
  host: v.optional(text('Listen on', 'Address to listen on; 0.0.0.0 opens it to the network', 255), '127.0.0.1'),
  port: v.optional(whole('Port', '0 picks a free one', 0, 65535), 8765),
  public_url: v.optional(
    v.pipe(
      Url(['http:', 'https:'], 'must be a URL that begins with http:// or https://'),
      v.title('Public address'),
      v.description('How others reach this server, for links and webhooks; may have a path'),
    ),
  ),
  trusted_proxies: v.optional(
    v.pipe(
      v.array(Address, 'must be a list'),
      v.title('Trusted proxies'),
      v.description('Only these may say who the client is (X-Forwarded-For, X-Forwarded-Proto)'),
    ),
    [],
  ),
  allowed_hosts: v.optional(
    v.pipe(
      v.array(Host, 'must be a list'),
      v.title('Allowed hosts'),
      v.description('Names that the Host header may have, beside the address listened on and the public one'),
    ),
    [],
  ),
  cors_origins: v.optional(
    v.pipe(
      v.array(text('Origin', 'Such as https://app.example', 300), 'must be a list'),
      v.title('Allowed origins'),
      v.description('Web pages from elsewhere that may call the API'),
    ),
    [],
  ),
})

const Database = v.object({
  url: v.optional(
    v.pipe(
      Url(['file:', 'libsql:', 'https:', 'http:', 'wss:', 'ws:'], 'must begin with file:, libsql:// or https://'),
      v.check((value) => !/[?&]authToken=/i.test(value), 'must not hold the token; put it in database.auth_token'),
      v.title('Database'),
      v.description('A libSQL address; gatehouse.db in the home folder when left out'),
    ),
  ),
  auth_token: v.optional(
    v.pipe(text('Database token', 'Token of a remote libSQL server', 8192), v.metadata({ secret: true })),
  ),
})

const Sessions = v.object({
  queue_policy: v.optional(
    v.pipe(
      v.picklist(['fifo', 'merge', 'interrupt'], 'must be fifo, merge or interrupt'),
      v.title('Text during a running turn'),
      v.description('fifo: it waits; merge: waiting texts are joined; interrupt: it cancels the running turn'),
    ),
    'fifo',
  ),
  max_parallel_turns: v.optional(
    whole('Turns at once', 'Turns that run at the same time, over all sessions', 1, 1000),
    8,
  ),
  max_queue: v.optional(whole('Waiting turns', 'Turns that may wait in one session', 1, 1000), 20),
  auto_title: v.optional(flag('Name sessions', 'Give a session a title after its first turn'), true),
})

const Agent = v.object({
  max_steps: v.optional(whole('Steps', 'Model calls in one turn', 1, 1000), 50),
  turn_timeout_seconds: v.optional(whole('Time of a turn', 'Seconds until a turn is stopped', 5, 86_400), 900),
  max_cost_usd_per_turn: v.optional(
    v.pipe(
      v.number('must be a number'),
      v.minValue(0, 'must not be negative'),
      v.title('Cost of a turn'),
      v.description('US dollars; no limit when left out'),
    ),
  ),
  max_output_tokens: v.optional(whole('Length of an answer', 'Tokens of one model call', 1, 10_000_000)),
  compact_at_percent: v.optional(
    whole('Compact at', "Percent of the model's window at which older messages are summarised", 10, 100),
    80,
  ),
  approval_timeout_seconds: v.optional(
    whole('Time to approve', 'Seconds until an unanswered approval counts as denied', 5, 2_592_000),
    3600,
  ),
})

const Uploads = v.object({
  max_bytes: v.optional(whole('Largest upload', 'Bytes', 1, 10 * 1024 ** 3), 100 * 1024 ** 2),
})

const Outbound = v.object({
  allow: v.optional(
    v.pipe(
      v.array(Host, 'must be a list'),
      v.title('Allowed private destinations'),
      v.description('Hosts and ranges that requests made for a user or a model may reach although they are private'),
    ),
    [],
  ),
})

const Tools = v.object({
  description_tokens: v.optional(
    whole(
      'Room for descriptions',
      'Tokens that descriptions of tools may take in every model call; beyond, the model searches for tools',
      200,
      1_000_000,
    ),
    2000,
  ),
  files: v.optional(
    v.pipe(
      v.object({
        enabled: v.optional(flag('Files', 'Let the model work with the files of the workspace folder'), false),
      }),
      v.title('Files'),
    ),
    {},
  ),
  shell: v.optional(
    v.pipe(
      v.object({
        enabled: v.optional(
          flag('Commands', 'Let the model run programs as the user that runs this server; it begins in the workspace'),
          false,
        ),
        timeout_seconds: v.optional(whole('Time of a command', 'Seconds until it is stopped', 1, 3600), 120),
        max_output_bytes: v.optional(
          whole('Output of a command', 'Bytes that are kept of its beginning and its end', 1000, 1_000_000),
          32_000,
        ),
      }),
      v.title('Commands'),
    ),
    {},
  ),
  web: v.optional(
    v.pipe(
      v.object({
        search: v.optional(
          v.pipe(
            v.picklist(['off', 'searxng', 'duckduckgo', 'tool'], 'must be off, searxng, duckduckgo or tool'),
            v.title('Web search'),
            v.description('Who is asked when the model searches the web'),
          ),
          'off',
        ),
        search_url: v.optional(
          v.pipe(
            Url(['http:', 'https:'], 'must be a URL that begins with http:// or https://'),
            v.title('Address of the search'),
            v.description('Of a SearXNG server, or of another page that answers as DuckDuckGo does'),
          ),
        ),
        search_tool: v.optional(
          v.pipe(
            v.string('must be text'),
            v.trim(),
            v.minLength(1, 'must not be empty'),
            v.maxLength(200, 'is too long'),
            v.title('Tool of the search'),
            v.description('With "tool": name of a tool that reads and takes a query, of a plugin or an MCP server'),
          ),
        ),
      }),
      v.title('Web'),
    ),
    {},
  ),
  delegate: v.optional(
    v.pipe(
      v.object({
        max_steps: v.optional(whole('Steps', 'Model calls of one sub-agent', 1, 1000), 20),
        timeout_seconds: v.optional(whole('Time', 'Seconds until a sub-agent is stopped', 1, 86_400), 300),
        max_depth: v.optional(whole('Depth', 'Levels of sub-agents; 1 lets none of them delegate further', 0, 5), 1),
        max_parallel: v.optional(whole('At once', 'Sub-agents of one session that work at the same time', 1, 100), 4),
      }),
      v.title('Sub-agents'),
    ),
    {},
  ),
})

const McpClient = v.object({
  registry_url: v.optional(
    v.pipe(
      Url(['http:', 'https:'], 'must be a URL that begins with http:// or https://'),
      v.title('Registry'),
      v.description('Address of the MCP registry that servers are looked up in'),
    ),
    'https://registry.modelcontextprotocol.io',
  ),
  idle_stop_seconds: v.optional(
    whole('Stop when idle', 'Seconds without a call until a server is stopped', 1, 86_400),
    300,
  ),
  start_timeout_seconds: v.optional(whole('Time to start', 'Seconds that a server may take to start', 1, 3600), 60),
  call_timeout_seconds: v.optional(
    whole('Time of a call', 'Seconds without a sign of life until a call of an MCP tool fails', 1, 86_400),
    120,
  ),
})

const Logging = v.object({
  level: v.optional(
    v.pipe(
      v.picklist(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error'),
      v.title('Level'),
      v.description('Less important entries are left out'),
    ),
    'info',
  ),
})

const DreamMode = v.looseObject({
  enabled: v.optional(flag('Nightly upkeep', 'Tidy the vault and fold old sessions into notes'), false),
  time: v.optional(
    v.pipe(
      v.string('must be text'),
      v.regex(/^([01]?\d|2[0-3]):[0-5]\d$/, 'must be a time such as 03:30'),
      v.title('Time'),
      v.description('HH:MM'),
    ),
    '03:00',
  ),
})

const AutoUpdate = v.looseObject({
  enabled: v.optional(flag('Look for updates', 'Look for new versions by schedule'), false),
  mode: v.optional(
    v.pipe(v.picklist(['auto', 'notify', 'manual'], 'must be auto, notify or manual'), v.title('Mode')),
    'notify',
  ),
  check_interval: v.optional(text('When', 'A cron expression', 200), '17 */6 * * *'),
})

/**
 * `gatehouse.yaml` and what the environment and flags add to it. Titles and descriptions draw the settings form;
 * `metadata({ secret: true })` keeps a value out of every answer. Sections that are not listed are kept.
 */
export const Config = v.looseObject({
  name: v.optional(
    v.pipe(text('Name', 'What the agent is called', 100), v.minLength(1, 'must not be empty')),
    'Gatehouse',
  ),
  system_prompt: v.optional(
    text('Instructions', 'What the model is told before every conversation', 200_000),
    'You are a helpful personal assistant. Answer in the language of the person you talk to, briefly and to the ' +
      'point. Use your tools when they help, say what you did, and say so when you do not know.',
  ),
  server: v.optional(v.pipe(Server, v.title('Server')), {}),
  database: v.optional(v.pipe(Database, v.title('Database')), {}),
  sessions: v.optional(v.pipe(Sessions, v.title('Sessions')), {}),
  agent: v.optional(v.pipe(Agent, v.title('Agent'), v.description('Limits of a turn')), {}),
  tools: v.optional(v.pipe(Tools, v.title('Tools'), v.description('What the model may use')), {}),
  uploads: v.optional(v.pipe(Uploads, v.title('Uploads')), {}),
  outbound: v.optional(v.pipe(Outbound, v.title('Outbound requests')), {}),
  mcp_client: v.optional(v.pipe(McpClient, v.title('MCP servers')), {}),
  logging: v.optional(v.pipe(Logging, v.title('Log')), {}),
  channels: v.optional(
    v.pipe(
      v.record(
        v.pipe(v.string(), v.regex(/^[A-Za-z0-9][\w.-]{0,63}$/, 'must be a name of letters, digits and . _ -')),
        Channel,
        'must be a group of channels',
      ),
      v.title('Channels'),
      v.description('Chat platforms by name: a token and who may write, or a plugin to start'),
    ),
    {},
  ),
  gateways: v.optional(
    v.pipe(
      v.looseObject({ external: v.optional(v.array(ExternalGateway, 'must be a list')) }),
      v.title('Gateways'),
      v.description("Plugins as Duragent's configuration names them; the same as channels with a command"),
    ),
  ),
  plugins: v.optional(v.pipe(Plugins, v.title('Plugins'), v.description('Programs that add channels and tools')), {}),
  dream_mode: v.optional(v.pipe(DreamMode, v.title('Nightly upkeep')), {}),
  auto_update: v.optional(v.pipe(AutoUpdate, v.title('Updates')), {}),
})
export type Config = v.InferOutput<typeof Config>

/** Where a value comes from; later ones win. */
export type Origin = 'default' | 'file' | '.env' | 'environment' | 'flag'

/** Something wrong, or odd, with the configuration; lines and columns count from 1. */
export type ConfigProblem = {
  severity: 'error' | 'warning'
  message: string
  /** Dotted, such as `server.port`; null when the text itself can't be read. */
  path: string | null
  origin: Origin
  line: number | null
  column: number | null
}

/** `GET /api/config/effective`. */
export type EffectiveConfig = {
  values: Record<string, unknown>
  /** By dotted path: `{'server.port': 'environment'}`. */
  origins: Record<string, Origin>
  problems: ConfigProblem[]
  /** Whether a change waits for a restart. */
  restart_required: boolean
}

/** One kept version of `gatehouse.yaml`. */
export type ConfigVersion = {
  id: number
  /** Epoch seconds. */
  at: number
  at_iso: string
  /** `kind` is `file` when somebody edited the file by other means. */
  by: { kind: string; id: string; name: string }
  sha: string
  current: boolean
}

export const ValidateConfigInput = v.object({
  yaml: v.pipe(v.string('must be text'), v.maxLength(1_048_576, 'is longer than 1 MiB')),
})
export type ValidateConfigInput = v.InferOutput<typeof ValidateConfigInput>
