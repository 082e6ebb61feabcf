import { setMaxListeners } from 'node:events'
import { performance } from 'node:perf_hooks'
import type { Capabilities } from '@msgloop/core'
import type { Case } from './case.js'
import { CASE_TIMEOUT_MS } from './case.js'
import { cases as allCases } from './cases/index.js'
import { CaseContext } from './context.js'
import { describe } from './expect.js'
import type { Harness } from './harness.js'
import { watchProcess } from './process-faults.js'
import type { CaseResult, Report } from './report.js'
import { Late, watchStalls } from './tolerance.js'
import { pause, settled } from './wait.js'

export interface RunOptions {
  /** Which cases. Default: all. */
  readonly filter?: (candidate: Case) => boolean
  /** Cases that run at once. Default 8. Exclusive ones run alone, after the others. */
  readonly concurrency?: number
  /** Told of each result as it comes. */
  readonly onResult?: (result: CaseResult) => void
}

/** Runs the suite against one broker. Rejects only when no driver can be opened. */
export async function runCases(harness: Harness, options: RunOptions = {}): Promise<Report> {
  const { filter = () => true, concurrency = 8, onResult } = options
  const chosen = allCases.filter(filter)
  const capabilities = await readCapabilities(harness)
  const faults = watchProcess()
  const results = new Map<Case, CaseResult>()
  const startedAt = new Date().toISOString()
  const runAll = async (waiting: Case[]): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const result = await runCase(next, harness, capabilities, faults.list)
      results.set(next, result)
      onResult?.(result)
    }
  }
  try {
    const parallel = chosen.filter((candidate) => !candidate.exclusive)
    await Promise.all(Array.from({ length: concurrency }, () => runAll(parallel)))
    await runAll(chosen.filter((candidate) => candidate.exclusive))
  } finally {
    faults.stop()
  }
  return {
    adapter: harness.adapter,
    version: harness.version,
    startedAt,
    node: process.version,
    results: chosen.flatMap((candidate) => results.get(candidate) ?? []),
  }
}

export async function readCapabilities(harness: Harness): Promise<Capabilities> {
  const driver = await harness.openDriver()
  // Not awaited: a driver that cannot close is for a case to find, not for the run to hang on.
  void driver.close().catch(() => {})
  return driver.capabilities
}

/**
 * Runs one case, bounded in time, and cleans up behind it; a second time if it was only late, or if this
 * process stood still meanwhile, and then says so. Never rejects.
 */
export async function runCase(
  candidate: Case,
  harness: Harness,
  capabilities: Capabilities,
  faults: readonly unknown[],
): Promise<CaseResult> {
  const { id, clauses, name } = candidate
  const begun = performance.now()
  const result = (rest: Pick<CaseResult, 'status' | 'reason' | 'error'>): CaseResult => ({
    id,
    clauses,
    name,
    ms: Math.round(performance.now() - begun),
    ...rest,
  })
  const reason = harness.cannotProve?.[id] ?? candidate.skip?.(capabilities, harness)
  if (reason === '') return result({ status: 'failed', reason: 'it was skipped without a reason' })
  if (reason !== undefined) return result({ status: 'skipped', reason })

  const stalls = watchStalls()
  const first = await tryCase(candidate, harness, capabilities, faults)
  stalls.stop()
  if (first.length === 0) return result({ status: 'passed' })
  const stalledMs = Math.round(stalls.longestMs())
  const late = first.every((problem) => problem instanceof Late)
  if (!late && stalledMs < STALL_MS) return result(failed(first))
  const second = await tryCase(candidate, harness, capabilities, faults)
  if (second.length > 0) return result(failed(second))
  return result({
    status: 'passed',
    reason: `${late ? 'late' : `the process stood still for ${stalledMs} ms`} at the first try: ${describe(first[0])}`,
  })
}

/** A process that stands still for longer cannot renew the shortest leases of the suite, whatever the driver does. */
const STALL_MS = 400

/** What went wrong, in order. */
async function tryCase(
  { id, timeoutMs = CASE_TIMEOUT_MS, run }: Case,
  harness: Harness,
  capabilities: Capabilities,
  faults: readonly unknown[],
): Promise<unknown[]> {
  const controller = new AbortController()
  // A case may have many calls under way on it; Node warns of a leak after ten.
  setMaxListeners(0, controller.signal)
  const timer = setTimeout(() => controller.abort(), timeoutMs)
  const t = new CaseContext(id, harness, capabilities, controller.signal, faults)
  const problems: unknown[] = []
  try {
    await bounded(`the case to end within ${timeoutMs} ms`, controller.signal, run(t))
  } catch (error) {
    problems.push(error)
  }
  clearTimeout(timer)
  try {
    await bounded('the cleanup to end', AbortSignal.timeout(CLEANUP_MS), t.cleanup())
  } catch (error) {
    problems.push(error)
  }
  return problems
}

function failed(problems: readonly unknown[]): Pick<CaseResult, 'status' | 'reason' | 'error'> {
  const [error] = problems
  return { status: 'failed', reason: problems.map(describe).join('; then, cleaning up: '), error }
}

/** Closing tries to settle what is left, several times; how long that may take is for the cases of L2 to say. */
const CLEANUP_MS = 30_000
/** The waits inside a case end on the same signal, and say more. */
const GRACE_MS = 250

function bounded(what: string, signal: AbortSignal, work: Promise<void>): Promise<void> {
  const late = new AbortController()
  const abort = (): void => void pause(GRACE_MS).then(() => late.abort())
  signal.addEventListener('abort', abort, { once: true })
  return settled(late.signal, what, work).finally(() => signal.removeEventListener('abort', abort))
}
