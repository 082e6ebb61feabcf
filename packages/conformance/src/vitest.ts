import type { Capabilities } from '@msgloop/core'
import { afterAll, beforeAll, describe, test, vi } from 'vitest'
import type { Case } from './case.js'
import { CASE_TIMEOUT_MS } from './case.js'
import { cases } from './cases/index.js'
import type { Harness } from './harness.js'
import type { ProcessFaults } from './process-faults.js'
import { watchProcess } from './process-faults.js'
import type { CaseResult, Report } from './report.js'
import { readCapabilities, runCase } from './run.js'

export interface DescribeOptions {
  /** Which cases. Default: all. */
  readonly filter?: (candidate: Case) => boolean
  /** Told of the whole run when it is over, to write a report from. */
  readonly onReport?: (report: Report) => void | Promise<void>
}

interface Suite {
  readonly harness: Harness
  readonly capabilities: Capabilities
  readonly faults: ProcessFaults
}

/** Cleaning up and saying what went wrong come on top of the time of the case itself. */
const EXTRA_MS = 60_000
/** Cases mostly wait. */
const CONCURRENCY = 12

/**
 * Registers one test per case: the parallel ones concurrently, then the exclusive ones one by one.
 *
 * @example describeConformance('rabbitmq', () => rabbitmqHarness(url))
 */
export function describeConformance(
  name: string,
  openHarness: () => Harness | Promise<Harness>,
  { filter = () => true, onReport }: DescribeOptions = {},
): void {
  vi.setConfig({ maxConcurrency: CONCURRENCY })
  const chosen = cases.filter(filter)
  const results: CaseResult[] = []
  const startedAt = new Date().toISOString()
  let suite: Suite | undefined

  const register = (candidate: Case): void => {
    const timeout = (candidate.timeoutMs ?? CASE_TIMEOUT_MS) + EXTRA_MS
    const title = `${candidate.id}: ${candidate.name}`
    const run = async (skip: (reason: string) => void): Promise<void> => {
      if (!suite) throw new Error('the harness did not open')
      const result = await runCase(candidate, suite.harness, suite.capabilities, suite.faults.list)
      results.push(result)
      if (result.status === 'skipped') skip(result.reason ?? '')
      if (result.status === 'failed') throw result.error ?? new Error(result.reason)
    }
    if (candidate.exclusive) test(title, { timeout }, (context) => run((reason) => context.skip(reason)))
    else test.concurrent(title, { timeout }, (context) => run((reason) => context.skip(reason)))
  }

  describe(name, () => {
    beforeAll(async () => {
      const harness = await openHarness()
      suite = { harness, capabilities: await readCapabilities(harness), faults: watchProcess() }
    })
    afterAll(async () => {
      if (!suite) return
      const { harness, faults } = suite
      faults.stop()
      await onReport?.({
        adapter: harness.adapter,
        version: harness.version,
        startedAt,
        node: process.version,
        results,
      })
      await harness.close()
    })
    for (const candidate of chosen.filter((each) => !each.exclusive)) register(candidate)
    for (const candidate of chosen.filter((each) => each.exclusive)) register(candidate)
  })
}
