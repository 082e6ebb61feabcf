import { expect, test, vi } from 'vitest'
import { decoratedHarness, memoryHarness } from '../test-support.js'
import type { Case } from './case.js'
import { cases } from './cases/index.js'
import type { Harness } from './harness.js'
import type { Mutant } from './mutants/index.js'
import { mutants } from './mutants/index.js'
import type { CaseResult } from './report.js'
import { readCapabilities, runCase } from './run.js'

/** A broken driver mostly shows itself by something that never happens: no need to wait long for it. */
const TIMEOUT_MS = 7_000

vi.setConfig({ maxConcurrency: 24 })

const byId = new Map(cases.map((candidate) => [candidate.id, candidate]))

function harnessFor({ needs }: Mutant): Harness {
  return memoryHarness(needs === 'connection-lease' ? { emulate: 'rabbitmq' } : {})
}

async function resultOf(candidate: Case, harness: Harness, timeoutMs?: number): Promise<CaseResult> {
  const bounded = timeoutMs === undefined ? candidate : { ...candidate, timeoutMs }
  return await runCase(bounded, harness, await readCapabilities(harness), [])
}

for (const mutant of mutants)
  for (const id of mutant.caughtBy)
    test.concurrent(`${id} catches a driver that ${mutant.fault} (${mutant.id})`, {
      timeout: 60_000,
    }, async () => {
      const candidate = byId.get(id)
      if (!candidate) throw new Error(`there is no case "${id}"`)
      const harness = harnessFor(mutant)
      const result = await resultOf(candidate, decoratedHarness(harness, mutant.make()), TIMEOUT_MS)
      await harness.close()
      expect(result.status, `${id} must fail on "${mutant.id}"`).toBe('failed')
    })

/** The same cases must pass on the unbroken driver, or failing proves nothing. */
const catching = new Map<string, Mutant>()
for (const mutant of mutants) for (const id of mutant.caughtBy) catching.set(id, mutant)

for (const [id, mutant] of catching) {
  const candidate = byId.get(id)
  const register = candidate?.exclusive ? test : test.concurrent
  register(`${id} passes on the unbroken driver`, { timeout: 60_000 }, async () => {
    if (!candidate) throw new Error(`there is no case "${id}"`)
    const harness = harnessFor(mutant)
    const { status, reason } = await resultOf(candidate, harness)
    await harness.close()
    // A pass at the second try, as this process stood still at the first, has a reason too.
    expect(status, reason).toBe('passed')
  })
}

test('mutants have ids of their own', () => {
  const ids = mutants.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})
