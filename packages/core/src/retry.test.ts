import { describe, expect, test } from 'vitest'
import { MsgloopError } from './error.js'
import { custom, exponential, fixed, immediate, linear, RetryAfter } from './retry.js'

const delays = (
  policy: { delayMs(attempt: number, error: unknown, random: () => number): number },
  n: number,
  random = () => 0,
) => Array.from({ length: n }, (_, i) => policy.delayMs(i + 1, undefined, random))

describe('retry policies', () => {
  test('exponential grows by its factor up to its max', () => {
    expect(delays(exponential({ attempts: 9, from: '500ms', factor: 3, max: '10s' }), 5)).toEqual([
      500, 1500, 4500, 10_000, 10_000,
    ])
  })

  test('exponential doubles, and stops at an hour, by default', () => {
    expect(delays(exponential({ attempts: 99, from: '20m' }), 4)).toEqual([
      1_200_000, 2_400_000, 3_600_000, 3_600_000,
    ])
  })

  test('linear grows by its step', () => {
    expect(delays(linear({ attempts: 9, from: '1s', step: '2s', max: '6s' }), 4)).toEqual([
      1000, 3000, 5000, 6000,
    ])
  })

  test('fixed and immediate stay the same', () => {
    expect(delays(fixed({ attempts: 3, delay: '2s' }), 3)).toEqual([2000, 2000, 2000])
    expect(delays(immediate({ attempts: 3 }), 3)).toEqual([0, 0, 0])
  })

  test('custom is told the attempt and the error', () => {
    const policy = custom({ attempts: 3, delay: (attempt, error) => (error === 'busy' ? '1m' : attempt) })
    expect(policy.delayMs(2, 'busy', Math.random)).toBe(60_000)
    expect(policy.delayMs(2, 'other', Math.random)).toBe(2)
  })

  test('jitter only ever shortens a delay, by at most its share', () => {
    expect(delays(fixed({ attempts: 3, delay: '1s', jitter: true }), 1, () => 0.999_999)[0]).toBeCloseTo(
      500,
      1,
    )
    expect(delays(fixed({ attempts: 3, delay: '1s', jitter: 0.2 }), 1, () => 0.5)[0]).toBeCloseTo(900, 1)
    expect(delays(fixed({ attempts: 3, delay: '1s', jitter: true }), 1, () => 0)[0]).toBe(1000)
  })

  test('RetryAfter carries its delay and its cause', () => {
    const cause = new Error('429')
    expect(new RetryAfter('10s', { cause })).toMatchObject({ delayMs: 10_000, cause })
  })

  test.each([
    () => fixed({ attempts: 0, delay: '1s' }),
    () => fixed({ attempts: 1.5, delay: '1s' }),
    () => fixed({ attempts: 2, delay: -1 }),
    () => exponential({ attempts: 2, from: '1s', factor: 0.5 }),
    () => fixed({ attempts: 2, delay: '1s', jitter: 2 }),
    // biome-ignore lint/suspicious/noExplicitAny: what a JavaScript caller may write
    () => fixed({ attempts: 2, delay: '1 second' as any }),
  ])('refuses a bad option: %s', (make) => {
    expect(make).toThrow(MsgloopError)
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })
})
