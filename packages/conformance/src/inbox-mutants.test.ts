import { expect, test, vi } from 'vitest'
import { memoryHarness } from '../test-support.js'
import { cases } from './cases/index.js'
import { memoryInboxBed } from './inbox-bed.js'
import { inboxMutants } from './mutants/index.js'
import { readCapabilities, runCase } from './run.js'

/** What a broken inbox breaks shows itself at once, or never happens. */
const TIMEOUT_MS = 7_000

vi.setConfig({ maxConcurrency: 12 })

for (const mutant of inboxMutants)
  for (const id of mutant.caughtBy)
    test.concurrent(`${id} catches an inbox that ${mutant.fault} (${mutant.id})`, {
      timeout: 60_000,
    }, async () => {
      const candidate = cases.find((each) => each.id === id)
      if (!candidate) throw new Error(`there is no case "${id}"`)
      const harness = { ...memoryHarness(), inbox: memoryInboxBed({ wrap: mutant.make() }) }
      const capabilities = await readCapabilities(harness)
      const result = await runCase({ ...candidate, timeoutMs: TIMEOUT_MS }, harness, capabilities, [])
      await harness.close()
      expect(result.status, `${id} must fail on "${mutant.id}"`).toBe('failed')
    })

test('inbox mutants have ids of their own', () => {
  const ids = inboxMutants.map(({ id }) => id)
  expect(new Set(ids).size).toBe(ids.length)
})
