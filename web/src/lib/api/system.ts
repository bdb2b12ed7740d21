import { api, type Fetch } from './client.ts'

type Filled = { total_bytes: number; used_bytes: number; free_bytes: number; percent: number }

/** One look at the machine and at this process; what cannot be measured is 0 or null. */
export type SystemSnapshot = {
  /** Epoch seconds. */
  timestamp: number
  host: {
    hostname: string
    platform: string
    os: string
    release: string
    arch: string
    uptime_seconds: number
    boot_time: number
    loadavg: number[]
  }
  cpu: {
    model: string
    cores_physical: number
    cores_logical: number
    freq_mhz: number
    usage_pct: number
    per_core_pct: number[]
    temp_c: number | null
  }
  memory: Filled & { available_bytes: number; cached_bytes: number | null }
  swap: Filled
  disks: (Filled & { mount: string; device: string; fs: string })[]
  network: {
    primary_iface: string | null
    ipv4: string | null
    ipv6: string | null
    rx_bytes_total: number
    tx_bytes_total: number
    rx_bps: number
    tx_bps: number
    connections: number
  }
  processes: {
    pid: number
    name: string
    user: string | null
    cpu_pct: number
    rss_bytes: number
    threads: number
    status: string
  }[]
  gatehouse: {
    pid: number
    runtime: string
    uptime_seconds: number
    rss_bytes: number
    heap_used_bytes: number
    event_loop_delay_ms: number
    connected_clients: number
    active_turns: number
    queued_turns: number
    database_bytes: number
  }
}

export const system = (fetch?: Fetch) => {
  const client = api(fetch)
  return {
    snapshot: () => client.get<SystemSnapshot>('/api/system'),
    /** Answers before the process ends and starts again. */
    restart: () => client.post<{ ok: boolean }>('/api/restart'),
  }
}
