import { expect, test } from 'vitest'
import { ClockWatch } from './clock-watch.js'

const HOUR = 3_600_000
const at = Date.UTC(2026, 0, 1)

test('a clock that goes like ours is not ahead', () => {
  const watch = new ClockWatch()
  for (let minute = 0; minute < 100; minute++) watch.look(at + minute * 60_000, 5 + minute * 60_000)
  expect(watch.aheadMs).toBe(0)
})

test('what a clock jumps ahead by is remembered, and jumps add up', () => {
  const watch = new ClockWatch()
  watch.look(at, 0)
  watch.look(at + 10 * HOUR + 60_000, 60_000)
  expect(watch.aheadMs).toBe(10 * HOUR)
  watch.look(at + 12 * HOUR + 120_000, 120_000)
  expect(watch.aheadMs).toBe(12 * HOUR)
})

test('a clock that is set back keeps things longer by itself', () => {
  const watch = new ClockWatch()
  watch.look(at, 0)
  watch.look(at - 5 * HOUR, 60_000)
  expect(watch.aheadMs).toBe(0)
})

test('seconds of drift are no jump', () => {
  const watch = new ClockWatch()
  watch.look(at, 0)
  watch.look(at + 65_000, 60_000)
  expect(watch.aheadMs).toBe(0)
})
