import * as v from 'valibot'

/** `GET /api/system` (spec openagent-api §1.9): the machine, and our own process on it. Unknown values are 0 or null. */
export type SystemSnapshot = {
  /** Epoch seconds. */
  timestamp: number
  host: {
    hostname: string
    /** `Linux`, `Darwin`, `Windows`. */
    platform: string
    os: string
    release: string
    arch: string
    uptime_seconds: number
    /** Epoch seconds. */
    boot_time: number
    loadavg: [number, number, number]
    users: number
    /** Always null; OpenAgent's clients read the field. */
    python_version: null
    openagent_version: string
  }
  cpu: {
    model: string
    cores_physical: number
    cores_logical: number
    freq_mhz: number
    freq_min_mhz: number
    freq_max_mhz: number
    usage_pct: number
    per_core_pct: number[]
    temp_c: number | null
  }
  memory: {
    total_bytes: number
    used_bytes: number
    available_bytes: number
    free_bytes: number
    cached_bytes: number | null
    percent: number
  }
  swap: { total_bytes: number; used_bytes: number; free_bytes: number; percent: number }
  disks: DiskUse[]
  network: {
    primary_iface: string | null
    ipv4: string | null
    ipv6: string | null
    rx_bytes_total: number
    tx_bytes_total: number
    /** Bytes per second. */
    rx_bps: number
    tx_bps: number
    connections: number
  }
  /** The 25 that use most of the processor. */
  processes: ProcessUse[]
  gatehouse: GatehouseUse
}

export type DiskUse = {
  mount: string
  device: string
  fs: string
  total_bytes: number
  used_bytes: number
  free_bytes: number
  percent: number
}

export type ProcessUse = {
  pid: number
  name: string
  user: string
  /** Of one core, so above 100 for several. */
  cpu_pct: number
  rss_bytes: number
  threads: number
  status: string
}

/** What our own process uses. */
export type GatehouseUse = GatehouseCounts & {
  pid: number
  runtime: string
  runtime_version: string
  uptime_seconds: number
  rss_bytes: number
  heap_used_bytes: number
  /** Longest wait of a timer beyond its time, since the last snapshot. */
  event_loop_delay_ms: number
}

/** What only the other features can count. */
export type GatehouseCounts = {
  connected_clients: number
  active_turns: number
  queued_turns: number
  database_bytes: number
}

const whole = v.pipe(v.string(), v.regex(/^\d{1,6}$/, 'must be a whole number'), v.transform(Number))

/** Query of `GET /api/logs`. */
export const LogsQuery = v.object({
  lines: v.optional(v.pipe(whole, v.minValue(1, 'must be at least 1'), v.maxValue(2000, 'must be at most 2000'))),
  event: v.optional(v.pipe(v.string(), v.maxLength(200))),
  level: v.optional(v.picklist(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error')),
  q: v.optional(v.pipe(v.string(), v.maxLength(500))),
})
export type LogsQuery = v.InferOutput<typeof LogsQuery>
