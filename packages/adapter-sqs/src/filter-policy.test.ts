import { MOST_PATTERNS, subjectMatcher } from '@msgloop/core/driver'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { filterPolicy, patternsOf } from './filter-policy.js'

/** Few letters, so that patterns and subjects often meet. */
const word = fc.constantFrom('a', 'b', 'ab', 'a-b')
const subjects = fc.array(word, { minLength: 1, maxLength: 5 }).map((segments) => segments.join('.'))
const pattern = fc
  .tuple(fc.array(fc.oneof(word, fc.constant('*')), { maxLength: 4 }), fc.boolean())
  .filter(([segments, open]) => open || segments.length > 0)
  .map(([segments, open]) => [...segments, ...(open ? ['#'] : [])].join('.'))
const patterns = fc
  .uniqueArray(pattern, { minLength: 1, maxLength: MOST_PATTERNS })
  .map((each) => each.sort())

/** What SNS does with a policy on one attribute. */
function lets(policy: string | undefined, subject: string | undefined): boolean {
  if (policy === undefined) return true
  const conditions: readonly (string | Record<string, string | boolean>)[] = JSON.parse(policy).subject
  return conditions.some((condition) => {
    if (typeof condition === 'string') return condition === subject
    if ('exists' in condition) return condition.exists === (subject !== undefined)
    if (subject === undefined) return false
    const { prefix, suffix } = condition
    return prefix === undefined ? subject.endsWith(String(suffix)) : subject.startsWith(String(prefix))
  })
}

describe('a filter policy', () => {
  test('lets through whatever its patterns match, and is within the limits of SNS', () => {
    fc.assert(
      fc.property(patterns, subjects, (given, subject) => {
        const policy = filterPolicy(given)
        if (subjectMatcher(given)(subject)) expect(lets(policy, subject)).toBe(true)
        if (policy !== undefined) expect(JSON.parse(policy).subject.length).toBeLessThanOrEqual(150)
      }),
      { numRuns: 5_000 },
    )
  })

  test('tells the patterns it was made of', () => {
    fc.assert(
      fc.property(patterns, (given) => {
        expect(patternsOf(filterPolicy(given))).toEqual(given)
      }),
    )
  })

  test.each([
    [['a.b'], 'a.b', true],
    [['a.b'], 'a.c', false],
    [['a.*'], 'b.c', false],
    [['a.#'], 'ab', false],
    [['*.b'], 'a.c', false],
    [['*.b'], 'a.b', true],
    [['*.b.#'], 'a.c', true],
    [['a.*.c'], 'a.b.d', true],
  ])('of %j, asked for "%s", says %s', (given, subject, expected) => {
    expect(lets(filterPolicy(given), subject)).toBe(expected)
  })

  test('of everything is none, and lets in what has no subject; so does a "#" among others', () => {
    expect(filterPolicy(['#'])).toBeUndefined()
    expect(lets(filterPolicy(['#', 'a']), undefined)).toBe(true)
    expect(lets(filterPolicy(['*.#']), undefined)).toBe(false)
  })

  test.each(['{', '{"other":["a"]}', '{"subject":["a"]}', '{"subject":7}', '[]'])(
    'that another hand wrote, %s, has no patterns',
    (policy) => {
      expect(patternsOf(policy)).toBeUndefined()
    },
  )
})
