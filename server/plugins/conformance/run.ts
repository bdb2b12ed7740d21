import type { Bench, Check, Outcome } from './check.ts'
import { manifestChecks } from './manifest-checks.ts'
import type { Probe } from './probe.ts'
import { protocolChecks } from './protocol-checks.ts'
import { stopChecks } from './stop-checks.ts'
import type { Target } from './target.ts'

export type CheckResult = { id: string; title: string; duration_ms: number } & Outcome

/** What `gatehouse plugins test --json` prints. */
export type ConformanceReport = {
  plugin: string
  protocol: string
  ok: boolean
  sections: { name: string; checks: CheckResult[] }[]
  summary: { pass: number; fail: number; warn: number; skip: number }
}

const SECTIONS: [string, Check[]][] = [
  ['Folder', manifestChecks],
  ['Protocol', protocolChecks],
  ['Ending', stopChecks],
]

/** Runs every check on a plugin, one after the other. Leaves no process behind. */
export async function runConformance(target: Target, options: {
  /** A chat that really exists; sending to it has to succeed. */
  chat?: string | undefined
  onResult?: (result: CheckResult) => void
} = {}): Promise<ConformanceReport> {
  const probes: Probe[] = []
  const fresh = async (): Promise<Probe> => {
    // Two at once would take each other's port, or place at the platform.
    for (const probe of probes) await probe.kill()
    const probe = await target.start!()
    probes.push(probe)
    return probe
  }
  let shared: Promise<Probe> | undefined
  const bench: Bench = {
    target,
    shared: () => shared ??= fresh(),
    fresh,
    chat: options.chat ?? 'conformance',
    chatExists: options.chat !== undefined,
  }
  const sections: ConformanceReport['sections'] = []
  try {
    for (const [name, checks] of SECTIONS) {
      const results: CheckResult[] = []
      for (const check of checks) {
        const result = await perform(check, bench)
        results.push(result)
        options.onResult?.(result)
      }
      sections.push({ name, checks: results })
    }
  } finally {
    for (const probe of probes) await probe.kill()
    await target.close()
  }
  const all = sections.flatMap(({ checks }) => checks)
  const count = (status: Outcome['status']): number => all.filter((check) => check.status === status).length
  const summary = { pass: count('pass'), fail: count('fail'), warn: count('warn'), skip: count('skip') }
  const protocol = target.manifest?.protocol ?? 'v1alpha1'
  return { plugin: target.name, protocol, ok: summary.fail === 0, sections, summary }
}

async function perform({ id, title, run }: Check, bench: Bench): Promise<CheckResult> {
  const began = performance.now()
  let outcome: Outcome
  try {
    outcome = await run(bench)
  } catch (error) {
    outcome = { status: 'fail', message: error instanceof Error ? error.message : String(error) }
  }
  return { id, title, duration_ms: Math.round(performance.now() - began), ...outcome }
}
