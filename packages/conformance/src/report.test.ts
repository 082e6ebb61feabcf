import { expect, test } from 'vitest'
import type { Report } from './report.js'
import { parseReport, toJson, toMarkdown } from './report.js'

const report = (adapter: string, results: Report['results']): Report => ({
  adapter,
  version: '4.2',
  startedAt: '2026-11-22T10:00:00.000Z',
  node: 'v20.20.2',
  results,
})

const passed = { id: 'S1-a', clauses: ['S1'], name: 'it | works', status: 'passed', ms: 12 } as const
const failed = {
  id: 'S2-b',
  clauses: ['S2', 'L4'],
  name: 'it fails well',
  status: 'failed',
  reason: 'expected 1,\n  saw 2',
  ms: 7,
  error: new Error('native'),
} as const
const skipped = {
  id: 'S2-b',
  clauses: ['S2', 'L4'],
  name: 'it fails well',
  status: 'skipped',
  reason: 'no network',
  ms: 0,
} as const

test('a report survives its JSON, but for the native errors', () => {
  const { error: _, ...rest } = failed
  expect(parseReport(toJson(report('memory', [passed, failed])))).toEqual(report('memory', [passed, rest]))
})

test('the JSON of something else is refused', () => {
  for (const text of [
    '{}',
    '[]',
    'null',
    '{"results":[{}]}',
    JSON.stringify({ ...report('x', []), results: [{ id: 1 }] }),
  ])
    expect(() => parseReport(text)).toThrow(TypeError)
})

test('several reports make one table: a row per case, a column per adapter, reasons below', () => {
  const table = toMarkdown([report('memory', [passed, failed]), report('rabbitmq', [passed, skipped])])
  expect(table.split('\n')).toEqual([
    '| Case | Clauses | Behaviour | memory 4.2 | rabbitmq 4.2 |',
    '|---|---|---|---|---|',
    '| `S1-a` | S1 | it \\| works | pass 12 ms | pass 12 ms |',
    '| `S2-b` | S2 L4 | it fails well | **FAIL** 7 ms | skipped |',
    '',
    '- memory 4.2, 2026-11-22T10:00:00.000Z, Node v20.20.2: 1 passed, 1 failed, 0 skipped.',
    '- rabbitmq 4.2, 2026-11-22T10:00:00.000Z, Node v20.20.2: 1 passed, 0 failed, 1 skipped.',
    '',
    '### memory 4.2: what did not simply pass, and why',
    '',
    '- `S2-b` failed: expected 1, saw 2',
    '',
    '### rabbitmq 4.2: what did not simply pass, and why',
    '',
    '- `S2-b` skipped: no network',
    '',
  ])
})

test('a case that one adapter did not run has an empty cell, and a later report replaces an earlier one', () => {
  const table = toMarkdown([
    report('memory', [failed]),
    report('memory', [passed]),
    report('nats', [skipped]),
  ])
  expect(table).toContain('| `S1-a` | S1 | it \\| works | pass 12 ms | – |')
  expect(table).not.toContain('FAIL')
})
