import type { Channel, ChannelAuth } from '../../shared/channels.ts'
import type { AuthMethod } from '../../shared/gateway-protocol.ts'

const MINUTE = 60_000
const KEPT = 60

type Counted = { minute: number; in: number; out: number }
type Known = {
  auth: (ChannelAuth & { until: number }) | null
  last_error: Channel['last_error']
  last_message_at: number | null
  minutes: Counted[]
  in: number
  out: number
}

/** What happens on each channel right now; begins anew with the server. */
export function createActivity(now: () => number) {
  const channels = new Map<string, Known>()

  function of(name: string): Known {
    let known = channels.get(name)
    if (!known) {
      known = { auth: null, last_error: null, last_message_at: null, minutes: [], in: 0, out: 0 }
      channels.set(name, known)
    }
    return known
  }

  function count(name: string, way: 'in' | 'out'): void {
    const known = of(name)
    const minute = Math.floor(now() / MINUTE)
    if (known.minutes.at(-1)?.minute !== minute) known.minutes.push({ minute, in: 0, out: 0 })
    if (known.minutes.length > KEPT) known.minutes.shift()
    known.minutes.at(-1)![way]++
    known[way]++
  }

  return {
    received(name: string): void {
      count(name, 'in')
      of(name).last_message_at = now()
    },
    sent: (name: string): void => count(name, 'out'),
    failed(name: string, message: string): void {
      of(name).last_error = { at: now() / 1000, message: message.slice(0, 500) }
    },
    /** A code or a QR that waits to be confirmed; null once it was. */
    auth(name: string, method: AuthMethod | null): void {
      const until = now() + (method?.expires_in ?? 0) * 1000
      const expires_at = until / 1000
      of(name).auth = method === null
        ? null
        : method.method === 'qr_code'
        ? { method: 'qr_code', qr_data: method.qr_data, qr_ascii: method.qr_ascii ?? null, expires_at, until }
        : { method: 'pair_code', code: method.code, expires_at, until }
    },
    view(
      name: string,
    ): Pick<Channel, 'auth' | 'last_error' | 'last_message_at' | 'throughput'> & { in: number; out: number } {
      const { auth, last_error, last_message_at, minutes } = of(name)
      const from = Math.floor(now() / MINUTE) - KEPT
      const recent = minutes.filter(({ minute }) => minute > from)
      return {
        auth: auth && auth.until > now() ? shown(auth) : null,
        last_error,
        last_message_at: last_message_at === null ? null : last_message_at / 1000,
        throughput: recent.map(({ minute, ...counts }) => ({ minute: minute * 60, ...counts })),
        in: recent.reduce((sum, row) => sum + row.in, 0),
        out: recent.reduce((sum, row) => sum + row.out, 0),
      }
    },
  }
}

export type Activity = ReturnType<typeof createActivity>

const shown = ({ until: _, ...auth }: ChannelAuth & { until: number }): ChannelAuth => auth
