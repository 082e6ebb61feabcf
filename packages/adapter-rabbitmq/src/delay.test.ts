import { describe, expect, test } from 'vitest'
import {
  below,
  DELIVERY,
  delayKey,
  deliveryPattern,
  entryLevel,
  LEVELS,
  LONGEST_DELAY_MS,
  levelName,
  levelPattern,
  levelTtlMs,
  STEP_MS,
  stepsOf,
} from './delay.js'

/** How a topic exchange matches, for patterns whose `#` is last. */
function matches(pattern: string, key: string): boolean {
  const wanted = pattern.split('.')
  const words = key.split('.')
  const open = wanted.at(-1) === '#'
  if (open) wanted.pop()
  if (open ? words.length < wanted.length : words.length !== wanted.length) return false
  return wanted.every((word, index) => word === '*' || word === words[index])
}

/** Follows a message through the bindings; the sum of the TTLs it waited for, and where it came out. */
function travel(delayMs: number, queue: string, queues: readonly string[]): [number, readonly string[]] {
  const steps = stepsOf(delayMs)
  const key = delayKey(steps, queue)
  let waited = 0
  for (let level = entryLevel(steps), at = levelName(level); at !== DELIVERY; at = below(level), level--) {
    const waits = matches(levelPattern(level, 1), key)
    expect(matches(levelPattern(level, 0), key)).toBe(!waits)
    if (waits) waited += levelTtlMs(level)
  }
  return [waited, queues.filter((name) => matches(deliveryPattern(name), key))]
}

describe('a delayed message', () => {
  test.each([100, 200, 300, 1_500, 3_200, 59_900, 3_600_000, 86_400_000, LONGEST_DELAY_MS])(
    'waits %i ms, in levels that all agree, and comes out at its queue',
    (delayMs) => {
      expect(travel(delayMs, 'orders', ['orders', 'other'])).toEqual([delayMs, ['orders']])
    },
  )

  test('waits at least as long as asked when that is no multiple of a step', () => {
    expect(travel(1, 'q', ['q'])[0]).toBe(STEP_MS)
    expect(travel(101, 'q', ['q'])[0]).toBe(2 * STEP_MS)
  })

  test('never comes out at a queue whose name only ends or begins like its own', () => {
    const queues = ['b', 'a.b', 'a', 'a.b.c', 'x.a.b', '*', '#', 'a/b', '0.b', '1.b']
    for (const queue of queues) expect(travel(700, queue, queues)[1]).toEqual([queue])
  })

  test('fits its routing key in 255 bytes for the longest and dottiest name', () => {
    expect(Buffer.byteLength(delayKey(1, `a${'.'.repeat(69)}`))).toBeLessThanOrEqual(255)
    expect(Buffer.byteLength(deliveryPattern(`a${'.'.repeat(69)}`))).toBeLessThanOrEqual(255)
  })
})

test('the levels reach further than the longest delay, and each TTL is one the broker takes', () => {
  expect((2 ** LEVELS - 1) * STEP_MS).toBeGreaterThan(LONGEST_DELAY_MS)
  expect(levelTtlMs(LEVELS - 1)).toBeLessThan(315_360_000_000)
})
