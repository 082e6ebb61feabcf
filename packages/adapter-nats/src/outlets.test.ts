import { type SubscriptionSpec, subjectMatcher } from '@msgloop/core/driver'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Outlet, outletsOf, subjectFrom } from './outlets.js'

const PREFIX = 'msgloop.topic.events.'
const subscription = (patterns: readonly string[], order: 'none' | 'key' = 'none'): SubscriptionSpec => ({
  kind: 'subscription',
  name: 'events.all',
  topic: 'events',
  patterns,
  role: 'work',
  deadLetter: 'events.all.dlq',
  leaseMs: 30_000,
  dedupWindowMs: 0,
  order,
})
const ofTopic = (patterns: readonly string[], order?: 'key'): Outlet[] =>
  outletsOf('msgloop', subscription(patterns, order)).filter(({ topic }) => topic)
const filters = (patterns: readonly string[], order?: 'key'): (string | undefined)[] =>
  ofTopic(patterns, order).map(({ filter }) => filter?.slice(PREFIX.length))

/** As NATS has it: `>` is one or more. */
function lets(filter: string, subject: string): boolean {
  const [wanted, given] = [filter.split('.'), subject.split('.')]
  if (wanted.at(-1) === '>') {
    if (given.length < wanted.length) return false
    wanted.pop()
    given.length = wanted.length
  }
  return wanted.length === given.length && wanted.every((each, at) => each === '*' || each === given[at])
}
const handed = (outlets: readonly Outlet[], subject: string): number =>
  outlets.filter(({ filter = '>', topic }) => lets(filter, PREFIX + subject) && topic?.wants(subject)).length

const word = fc.constantFrom('a', 'b', 'x-y')
const subjects = fc.array(word, { minLength: 1, maxLength: 5 }).map((segments) => segments.join('.'))
const patterns = fc
  .tuple(fc.array(fc.oneof(word, fc.constant('*')), { maxLength: 4 }), fc.boolean())
  .filter(([segments, open]) => open || segments.length > 0)
  .map(([segments, open]) => [...segments, ...(open ? ['#'] : [])].join('.'))
const several = fc.uniqueArray(patterns, { minLength: 1, maxLength: 5 }).map((all) => all.sort())

describe('the filters of a subscription', () => {
  test.each([
    [['#'], ['>']],
    [['order.created'], ['order.created']],
    [['order.*'], ['order.>']],
    [['order.*.#'], ['order.>']],
    [['*'], ['>']],
    [['order.#'], ['order', 'order.>']],
    [['#', 'order.#', '*'], ['>']],
    [
      ['order.#', 'order.created', 'order.*.eu.#'],
      ['order', 'order.>'],
    ],
    [
      ['*.created', 'order.*'],
      ['*.created', 'order.>'],
    ],
  ])('%j are %j', (given, wanted) => {
    expect(filters(given)).toEqual(wanted)
  })

  test('never end with *, which servers of 2.10 lose messages by', () => {
    fc.assert(
      fc.property(several, fc.constantFrom(undefined, 'key' as const), (given, order) => {
        for (const filter of filters(given, order)) expect(filter).not.toMatch(/\*$/)
      }),
    )
  })

  test('hand over once what any pattern matches, and nothing else', () => {
    fc.assert(
      fc.property(several, subjects, (given, subject) => {
        expect(handed(ofTopic(given), subject)).toBe(subjectMatcher(given)(subject) ? 1 : 0)
      }),
      { numRuns: 5_000 },
    )
  })

  test('with order by key are one, however many patterns there are', () => {
    fc.assert(
      fc.property(several, subjects, (given, subject) => {
        const outlets = ofTopic(given, 'key')
        expect(outlets).toHaveLength(1)
        expect(handed(outlets, subject)).toBe(subjectMatcher(given)(subject) ? 1 : 0)
      }),
      { numRuns: 5_000 },
    )
  })

  test.each([
    [['order.created'], 'order.created'],
    [['order.eu.*', 'order.eu.x'], 'order.eu.>'],
    [['order.eu.created', 'order.us.created'], 'order.*.>'],
    [['order.#'], '>'],
  ])('with order by key let %j through %s', (given, wanted) => {
    expect(filters(given, 'key')).toEqual([wanted])
  })
})

test('what a message was published about comes from where it lies', () => {
  const [outlet] = ofTopic(['#'])
  expect(outlet && subjectFrom(outlet, 'msgloop.topic.events.order.created')).toBe('order.created')
})
