import pc from 'picocolors'
import { expect, test } from 'vitest'
import { balance, exitCodeOf } from './balance.js'
import { balanceLines } from './balance-lines.js'

const lines = (result: ReturnType<typeof balance>): string =>
  balanceLines(result, [], pc.createColors(false)).join('\n')

test('it is even when each message was either processed or is dead', () => {
  const result = balance({ sent: ['a', 'b', 'c'], mailed: ['c', 'a'], dead: ['b'] })
  expect(result).toMatchObject({ sent: 3, processed: 2, effects: 2, dead: 1, duplicates: [], even: true })
  expect(exitCodeOf(result)).toBe(0)
  expect(lines(result)).toContain('✓ 3 sent = 2 processed + 1 dead: nothing is lost')
})

test('an effect that happened twice is told, and is not off balance', () => {
  const result = balance({ sent: ['a', 'b'], mailed: ['a', 'b', 'a'], dead: [] })
  expect(result).toMatchObject({ processed: 2, effects: 3, duplicates: ['a'], even: true })
  expect(lines(result)).toContain('! sent twice: a')
})

test.each([
  ['lost', { sent: ['a', 'b'], mailed: ['a'], dead: [] }, 'lost: b'],
  ['twofold', { sent: ['a', 'b'], mailed: ['a', 'b'], dead: ['b'] }, 'both processed and dead: b'],
  ['strange', { sent: ['a'], mailed: ['a', 'x'], dead: ['y'] }, 'never sent: x, y'],
] as const)('a message that is %s makes it off, with exit code 1', (kind, counts, message) => {
  const result = balance(counts)
  expect(result.even).toBe(false)
  expect(result[kind]).not.toEqual([])
  expect(exitCodeOf(result)).toBe(1)
  expect(lines(result)).toContain(message)
  expect(lines(result)).toContain('OFF BALANCE')
  expect(lines(result)).not.toContain('nothing is lost')
})

test('one lost and one out of nowhere do not make it even', () => {
  const result = balance({ sent: ['a', 'b'], mailed: ['a', 'x'], dead: [] })
  expect(result).toMatchObject({ sent: 2, processed: 2, lost: ['b'], strange: ['x'] })
  expect(exitCodeOf(result)).toBe(1)
})
