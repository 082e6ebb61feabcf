import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { refused, sameMembers, wrong } from '../expect.js'
import { pause } from '../wait.js'
import { witness } from '../witness.js'
import { needsTopics } from './needs.js'

/** Patterns of a subscription, and the subjects it must get: written down, not computed. */
type Routes = readonly (readonly [patterns: readonly string[], gets: readonly string[]])[]

/** Nothing more comes in this time, or it would have come before. */
const SETTLE_MS = 300

/** Publishes each subject once, and compares what each subscription got. */
async function routes(t: CaseContext, subjects: readonly string[], table: Routes): Promise<void> {
  const topic = await t.topic<string>()
  const subscriptions = await Promise.all(
    table.map(([patterns], n) => t.subscribe(topic, `s${n}`, { patterns })),
  )
  const runs = subscriptions.map((each) => t.consume(each))
  for (const outcome of await topic.publishBatch(subjects.map((subject) => ({ subject, body: subject }))))
    assert.ok(outcome.ok, 'it is published')
  for (const [n, [patterns, gets]] of table.entries())
    await t.count(`messages for ${patterns.join(' and ')}`, runs[n]?.list ?? [], gets.length)
  await pause(SETTLE_MS)
  for (const [n, [patterns, gets]] of table.entries()) {
    const list = runs[n]?.list ?? []
    sameMembers(
      `subjects that ${patterns.join(' and ')} got`,
      list.map(({ body }) => body),
      gets,
    )
    for (const { body, message } of list) assert.equal(message.subject, body, 'the subject of the message')
  }
}

const SHORT = ['a', 'b', 'a.b', 'a.c', 'b.b', 'a.b.c']
const LONG = ['a', 'a.b', 'a.b.c', 'a.x.c', 'a.b.c.d', 'a.x.c.d.e', 'x.b.y.d']
const PLAIN = ['A', 'a', 'ab', 'a-b', 'a_b', 'order', 'order-1', '0', '0.1', 'true', 'null']
const deep = Array.from({ length: 16 }, (_, n) => `s${n}`)
const wide = `${'w'.repeat(100)}.${'x'.repeat(26)}`

export const topicRoutingCases: readonly Case[] = [
  {
    id: 'P2-segments',
    clauses: ['P2'],
    name: 'one and two segments: * is exactly one, a final # is zero or more (42 pairs)',
    skip: needsTopics,
    run: (t) =>
      routes(t, SHORT, [
        [['a'], ['a']],
        [['a.b'], ['a.b']],
        [['*'], ['a', 'b']],
        [['a.*'], ['a.b', 'a.c']],
        [['*.b'], ['a.b', 'b.b']],
        [['#'], SHORT],
        [['a.#'], ['a', 'a.b', 'a.c', 'a.b.c']],
      ]),
  },
  {
    id: 'P2-wildcards',
    clauses: ['P2'],
    name: 'wildcards in the middle, several of them, and before a # (49 pairs)',
    skip: needsTopics,
    run: (t) =>
      routes(t, LONG, [
        [['a.*.c'], ['a.b.c', 'a.x.c']],
        [['*.*.*'], ['a.b.c', 'a.x.c']],
        [['a.b.#'], ['a.b', 'a.b.c', 'a.b.c.d']],
        [['a.*.#'], ['a.b', 'a.b.c', 'a.x.c', 'a.b.c.d', 'a.x.c.d.e']],
        [['*.#'], LONG],
        [['*.b.*.d'], ['a.b.c.d', 'x.b.y.d']],
        [['a.*.c.#'], ['a.b.c', 'a.x.c', 'a.b.c.d', 'a.x.c.d.e']],
      ]),
  },
  {
    id: 'P2-characters',
    clauses: ['P2'],
    name: 'segments are compared whole, by case, and as text: no prefix, no number, no boolean (66 pairs)',
    skip: needsTopics,
    run: (t) =>
      routes(t, PLAIN, [
        [['a'], ['a']],
        [['A'], ['A']],
        [['order'], ['order']],
        [['order.#'], ['order']],
        [['0.*'], ['0.1']],
        [
          ['true', 'null', '0', 'a-b', 'a_b'],
          ['true', 'null', '0', 'a-b', 'a_b'],
        ],
      ]),
  },
  {
    id: 'P2-longest',
    clauses: ['P2'],
    name: 'the longest subjects and the deepest: 127 characters, 16 segments, and patterns as long',
    skip: needsTopics,
    run: (t) =>
      routes(
        t,
        [deep.join('.'), wide],
        [
          [[deep.join('.')], [deep.join('.')]],
          [[wide], [wide]],
          [[deep.map((each, n) => (n % 2 === 0 ? '*' : each)).join('.')], [deep.join('.')]],
          [[`${deep.slice(0, 15).join('.')}.#`], [deep.join('.')]],
          [['*.*'], [wide]],
        ],
      ),
  },
  {
    id: 'P2-overlap',
    clauses: ['P2', 'P1'],
    name: 'what several patterns of a subscription match is delivered once (36 pairs)',
    skip: needsTopics,
    run: (t) =>
      routes(t, SHORT, [
        [
          ['a.*', '*.b'],
          ['a.b', 'a.c', 'b.b'],
        ],
        [['#', 'a.b', 'a.*'], SHORT],
        [
          ['a.#', 'a.b.#', 'a.b.c'],
          ['a', 'a.b', 'a.c', 'a.b.c'],
        ],
        [
          ['a', 'b'],
          ['a', 'b'],
        ],
        [['*', '*.*', '*.*.*'], SHORT],
        [['a.b', 'nothing.*', 'no'], ['a.b']],
      ]),
  },
  {
    id: 'P2-sixteen',
    clauses: ['P2'],
    name: 'a subscription may have sixteen patterns',
    skip: needsTopics,
    run(t) {
      const patterns = Array.from({ length: 16 }, (_, n) => `p${n}.*.x`)
      return routes(
        t,
        ['p0.a.x', 'p15.a.x', 'p7.b.x', 'p16.a.x', 'p7.x'],
        [[patterns, ['p0.a.x', 'p15.a.x', 'p7.b.x']]],
      )
    },
  },
  {
    id: 'P2-refused',
    clauses: ['P2', 'S4'],
    name: 'what is no subject, no pattern or no name is refused before any I/O, and so is a delay',
    skip: needsTopics,
    async run(t) {
      const { watch, calls } = witness()
      const topic = await t.topic({}, { wrap: watch })
      const broker = t.brokerOf(topic)
      for (const subject of [
        '',
        '.',
        'a.',
        'a..b',
        'a b',
        'a.*',
        '#',
        'ä',
        'x'.repeat(128),
        [...deep, 'a'].join('.'),
        7,
      ])
        await refused(`subject ${subject}`, () => topic.publish(wrong(subject), {}), 'INVALID', 'rejected')
      for (const patterns of [
        [],
        ['a..b'],
        ['#.a'],
        ['a.#.b'],
        ['a*'],
        ['>'],
        'a',
        Array.from({ length: 17 }, (_, n) => `p${n}`),
      ])
        await refused(
          `patterns ${patterns}`,
          () => topic.subscription('x', { patterns: wrong(patterns) }),
          'INVALID',
        )
      for (const name of ['', 'a.b', '-a', 'dlq', 'x'.repeat(70), 7])
        await refused(`subscription ${name}`, () => topic.subscription(wrong(name)), 'INVALID')
      for (const name of ['', '.a', 'a b', 'x'.repeat(71), 7])
        await refused(`topic ${name}`, () => broker.topic(wrong(name)), 'INVALID')
      for (const options of [{ delay: '1s' }, { priority: 'high' }, { unknown: 1 }])
        await refused(
          `options ${JSON.stringify(options)}`,
          () => topic.publish('a', {}, wrong(options)),
          'INVALID',
          'rejected',
        )
      for (const options of [5, null, 'now'])
        await refused(
          `options ${options}`,
          () => topic.publish('a', {}, wrong(options)),
          'INVALID',
          'rejected',
        )
      await refused('a queue', () => broker.topic(wrong(t.define())), 'INVALID')
      for (const options of [{ codec: 1 }, { sendTimeout: '1s' }, { dedup: '1s' }, { schema: {} }])
        await refused(
          `options ${Object.keys(options)}`,
          () => topic.subscription('x', wrong(options)),
          'INVALID',
        )
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'P2-unsupported',
    clauses: ['C1', 'S4', 'P1', 'P2'],
    name: 'where there are no topics, one is refused as UNSUPPORTED before any I/O',
    async run(t) {
      const { watch, calls } = witness()
      const broker = await t.broker({
        wrap: (driver) => ({
          ...watch(driver),
          capabilities: { ...driver.capabilities, topics: false },
        }),
      })
      await refused('a topic', () => broker.topic('any'), 'UNSUPPORTED')
      assert.deepEqual(calls, [])
    },
  },
]
