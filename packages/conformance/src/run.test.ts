import assert from 'node:assert/strict'
import { expect, test } from 'vitest'
import { memoryHarness } from '../test-support.js'
import type { Case } from './case.js'
import { cases } from './cases/index.js'
import type { CaseResult } from './report.js'
import { readCapabilities, runCase, runCases } from './run.js'
import { Late } from './tolerance.js'

const CLAUSES = [
  ...['S1', 'S2', 'S3', 'S4', 'S5', 'S6', 'S7', 'S8', 'S9'],
  ...['M1', 'M2', 'M3', 'M4', 'M5'],
  ...['R1', 'R2', 'R3', 'R4', 'R5', 'R6', 'R7', 'R8', 'R9'],
  ...['T1', 'T2', 'T3', 'T4', 'T5', 'T7', 'T8', 'T9'],
  ...['D1', 'D2', 'D3', 'D4', 'D5', 'D6', 'D7', 'D8'],
  ...['W1', 'W2', 'W3'],
  ...['L1', 'L2', 'L3', 'L4', 'L5', 'L6', 'L7', 'L8', 'L9'],
  ...['C1', 'C2', 'C3', 'F1', 'F2', 'F3', 'E1'],
]

async function run(candidate: Partial<Case>): Promise<CaseResult> {
  const harness = memoryHarness()
  const whole: Case = { id: 'X1-case', clauses: ['X1'], name: 'a case', run: async () => {}, ...candidate }
  const result = await runCase(whole, harness, await readCapabilities(harness), [])
  await harness.close()
  return result
}

test('every clause in scope is proven by a case that names it', () => {
  const named = new Set(cases.flatMap(({ clauses }) => clauses))
  expect(CLAUSES.filter((clause) => !named.has(clause))).toEqual([])
})

test('ids are unique, begin with a clause of the case, and names are sentences of their own', () => {
  expect(new Set(cases.map(({ id }) => id)).size).toBe(cases.length)
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length)
  for (const { id, clauses } of cases) expect(clauses).toContain(id.split('-')[0])
})

test('the case that judges the whole run is the last of those that run alone', () => {
  expect(cases.filter(({ exclusive }) => exclusive).at(-1)?.id).toBe('L7-whole-run')
})

test('a case that never ends is failed when its time is up, with what it waited for', async () => {
  const hanging = await run({ timeoutMs: 100, run: () => new Promise(() => {}) })
  expect(hanging).toMatchObject({
    status: 'failed',
    reason: expect.stringContaining('the case to end within 100 ms'),
  })
  const waiting = await run({
    timeoutMs: 100,
    run: async (t) => {
      await t.until(
        'a miracle',
        () => 'nothing',
        () => false,
      )
    },
  })
  expect(waiting.reason).toContain('waited for a miracle; last saw "nothing"')
})

test('a case that fails says why, and keeps the error', async () => {
  const result = await run({ run: async () => assert.equal(1, 2, 'one is two') })
  expect(result).toMatchObject({ status: 'failed', reason: expect.stringContaining('one is two') })
  expect(result.error).toBeInstanceOf(assert.AssertionError)
})

test('a case that is only late has a second chance, which is told; what is early or wrong has none', async () => {
  let tries = 0
  const late = await run({
    run: async () => {
      if (++tries === 1) throw new Late('12 ms over')
    },
  })
  expect(late).toMatchObject({ status: 'passed', reason: expect.stringContaining('12 ms over') })
  expect(tries).toBe(2)
  expect(await run({ run: () => Promise.reject(new Late('always')) })).toMatchObject({ status: 'failed' })
  tries = 0
  const wrong = await run({
    run: async () => {
      if (++tries === 1) assert.fail('wrong')
    },
  })
  expect(wrong.status).toBe('failed')
  expect(tries).toBe(1)
})

test('a skip needs a reason', async () => {
  expect(await run({ skip: () => 'no such thing here' })).toMatchObject({
    status: 'skipped',
    reason: 'no such thing here',
  })
  expect(await run({ skip: () => '' })).toMatchObject({ status: 'failed' })
  expect(await run({ skip: () => undefined })).toMatchObject({ status: 'passed' })
})

test('a case leaves no queue behind, also when it fails', async () => {
  const harness = memoryHarness()
  const names: string[] = []
  const leaving: Case = {
    id: 'X1-leaves',
    clauses: ['X1'],
    name: 'a case that leaves things behind',
    async run(t) {
      const queue = await t.queue()
      names.push(queue.name)
      t.consume(queue)
      await queue.send({})
      assert.fail('and fails')
    },
  }
  await runCase(leaving, harness, await readCapabilities(harness), [])
  const driver = await harness.openDriver()
  const spec = {
    kind: 'queue',
    role: 'dead-letter',
    leaseMs: 1_000,
    dedupWindowMs: 0,
    order: 'none',
  } as const
  for (const name of names.flatMap((each) => [each, `${each}.dlq`])) {
    const drifts = await driver.admin.verify({ ...spec, name }, AbortSignal.timeout(1_000))
    expect(
      drifts.some(({ field }) => field === undefined),
      `${name} is gone`,
    ).toBe(true)
  }
  await driver.close()
  await harness.close()
})

test('a run reports each case as it ends and all of them in order, whatever order they ended in', async () => {
  const harness = memoryHarness()
  const seen: string[] = []
  const wanted = ['S5-nothing', 'S6-id', 'C1-frozen', 'T2-at-once']
  const report = await runCases(harness, {
    filter: ({ id }) => wanted.includes(id),
    onResult: ({ id }) => seen.push(id),
  })
  await harness.close()
  expect(report.results.map(({ id, status }) => `${id} ${status}`).sort()).toEqual(
    wanted.map((id) => `${id} passed`).sort(),
  )
  expect(seen.at(-1)).toBe('T2-at-once')
  expect(report).toMatchObject({ adapter: 'memory', node: process.version })
})
