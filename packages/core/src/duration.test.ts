import { expect, test } from 'vitest'
import type { Duration } from './duration.js'
import { milliseconds } from './duration.js'

test.each([
  [0, 0],
  [1500, 1500],
  ['500ms', 500],
  ['1.5s', 1500],
  ['15m', 900_000],
  ['2h', 7_200_000],
  ['3d', 259_200_000],
] as const)('%s is %i ms', (duration, expected) => {
  expect(milliseconds('x', duration)).toBe(expected)
})

test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '', '5', '5 s', '-5s', '1e3s', null, undefined, {}])(
  'refuses %s, saying what and how',
  (bad) => {
    expect(() => milliseconds('option "delay"', bad as Duration)).toThrow(/option "delay".*'30s'/)
  },
)
