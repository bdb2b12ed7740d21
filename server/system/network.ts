import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import type { SystemSnapshot } from '../../shared/system.ts'

type Network = Omit<SystemSnapshot['network'], 'rx_bps' | 'tx_bps'>

/** Addresses everywhere; traffic and connections where the system tells them in /proc. */
export async function readNetwork(): Promise<Network> {
  const [routes, traffic, sockets, sockets6] = await Promise.all(
    ['route', 'dev', 'sockstat', 'sockstat6'].map((name) => readFile(`/proc/net/${name}`, 'utf8').catch(() => '')),
  )
  const interfaces = networkInterfaces()
  const outward = Object.entries(interfaces).filter(([, addresses]) => addresses?.some(({ internal }) => !internal))
  // The default route is the one to 0.0.0.0.
  const primary = /^(\S+)\t00000000\t/m.exec(routes ?? '')?.[1] ?? outward[0]?.[0] ?? null
  const addresses = (primary === null ? undefined : interfaces[primary]) ?? []
  const address = (family: string) => addresses.find((one) => one.family === family && !one.internal)?.address ?? null
  const counters = [...(traffic ?? '').matchAll(/^\s*([^\s:]+):\s*(.+)$/gm)]
    .filter((match) => match[1] !== 'lo').map((match) => match[2]!.trim().split(/\s+/).map(Number))
  const sum = (column: number) => counters.reduce((all, row) => all + (row[column] ?? 0), 0)
  const open = [...`${sockets}\n${sockets6}`.matchAll(/^(?:TCP|UDP)6?: inuse (\d+)/gm)]
  return {
    primary_iface: primary,
    ipv4: address('IPv4'),
    ipv6: address('IPv6'),
    rx_bytes_total: sum(0),
    tx_bytes_total: sum(8),
    connections: open.reduce((all, match) => all + Number(match[1]), 0),
  }
}
