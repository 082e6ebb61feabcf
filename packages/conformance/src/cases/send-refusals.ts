import assert from 'node:assert/strict'
import type { Queue, SendOptions } from '@msgloop/core'
import { bytes, createBroker, defineQueue, text } from '@msgloop/core'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { refused, wrong } from '../expect.js'
import { numberSchema } from '../schema.js'
import { witness } from '../witness.js'

const YEAR_MS = 366 * 24 * 60 * 60 * 1_000

/** What must be refused, each before any I/O and with outcome `rejected`. */
async function refusedUnsent(
  t: CaseContext,
  refusals: (queue: Queue<unknown>) => readonly (readonly [string, unknown, SendOptions?])[],
  codes: Parameters<typeof refused>[2],
  open: (t: CaseContext) => Parameters<CaseContext['open']>[0] = () => t.define(),
): Promise<void> {
  const { watch, calls } = witness()
  const queue = await t.open<unknown>(wrong(open(t)), { wrap: watch })
  for (const [what, body, options] of refusals(queue)) {
    const send = (): Promise<string> => (options ? queue.send(body, options) : queue.send(body))
    await refused(what, send, codes, 'rejected')
  }
  assert.deepEqual(calls, [], 'everything was refused before any I/O')
}

export const sendRefusalCases: readonly Case[] = [
  {
    id: 'S4-options',
    clauses: ['S4'],
    name: 'an unknown option is refused before any I/O, wherever options are taken',
    async run(t) {
      const { watch, calls } = witness()
      const queue = await t.queue({}, { wrap: watch })
      await refused('send', () => queue.send({}, wrong({ dely: '1s' })), 'INVALID', 'rejected')
      await refused('defineQueue', () => defineQueue('q', wrong({ retries: 3 })), 'INVALID')
      await refused('consume', () => queue.consume(() => {}, wrong({ paralel: 3 })), 'INVALID')
      await refused('receive', () => queue.receive(wrong({ batch: 3 })), 'INVALID')
      const driver = await t.driver()
      await refused('createBroker', () => createBroker(driver, wrong({ topologie: 'none' })), 'INVALID')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'S4-option-values',
    clauses: ['S4'],
    name: 'an option with an impossible value is refused before any I/O',
    async run(t) {
      const { watch, calls } = witness()
      const queue = await t.queue({}, { wrap: watch })
      for (const concurrency of [0, -1, 1.5, Number.NaN, wrong('3')])
        await refused(`concurrency ${concurrency}`, () => queue.consume(() => {}, { concurrency }), 'INVALID')
      for (const max of [0, -1, 0.5])
        await refused(`receive max ${max}`, () => queue.receive({ max }), 'INVALID')
      await refused('receive wait', () => queue.receive({ wait: wrong('soon') }), 'INVALID')
      await refused('lease', () => defineQueue('q', { lease: 0 }), 'INVALID')
      await refused('maxDeliveries', () => defineQueue('q', { maxDeliveries: 0 }), 'INVALID')
      await refused('retry', () => defineQueue('q', { retry: wrong({ attempts: 3 }) }), 'INVALID')
      await refused('handler', () => queue.consume(wrong(undefined)), 'INVALID')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'S4-names',
    clauses: ['S4'],
    name: 'an impossible queue name is refused before any I/O',
    async run(t) {
      const { watch, calls } = witness()
      const broker = await t.broker({ wrap: watch })
      const names = [
        '',
        ' ',
        'a b',
        'a/b',
        'ä',
        '-a',
        '.a',
        'a\n',
        'a*',
        'a#',
        'x'.repeat(71),
        '__proto__/',
        wrong(7),
      ]
      for (const name of names) {
        await refused(`defineQueue(${JSON.stringify(name)})`, () => defineQueue(name), 'INVALID')
        await refused(`broker.queue(${JSON.stringify(name)})`, () => broker.queue(name), 'INVALID')
      }
      await refused('its own dead-letter queue', () => defineQueue('q', { deadLetter: 'q' }), 'INVALID')
      await refused('a dead-letter queue', () => defineQueue('q', { deadLetter: 'a b' }), 'INVALID')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'S4-other-definition',
    clauses: ['S4'],
    name: 'a second definition of the same name is refused, and the same one gives the same queue',
    async run(t) {
      const broker = await t.broker()
      const definition = t.define()
      assert.equal(broker.queue(definition), broker.queue(definition))
      await refused(
        'another definition of the name',
        () => broker.queue(defineQueue(definition.name, { maxReplays: 7 })),
        'INVALID',
      )
    },
  },
  {
    id: 'S4-delay',
    clauses: ['S4', 'W1'],
    name: 'a delay that is negative, not a duration, or over the limit is refused before any I/O',
    run: (t) =>
      refusedUnsent(
        t,
        () =>
          [
            -1,
            Number.NaN,
            Number.POSITIVE_INFINITY,
            wrong('-1s'),
            wrong('5 parsecs'),
            wrong(''),
            wrong(null),
            wrong({}),
            t.capabilities.limits.delayMs + t.capabilities.limits.delayResolutionMs,
            Math.max(YEAR_MS, t.capabilities.limits.delayMs) * 1_000,
          ].map((delay) => [`delay ${String(delay)}`, {}, { delay }] as const),
        'INVALID',
      ),
  },
  {
    id: 'S4-ttl',
    clauses: ['S4', 'W2'],
    name: 'a ttl that is negative or not a duration is refused before any I/O',
    run: (t) =>
      refusedUnsent(
        t,
        () => [-1, Number.NaN, wrong('soon')].map((ttl) => [`ttl ${String(ttl)}`, {}, { ttl }] as const),
        'INVALID',
      ),
  },
  {
    id: 'S4-reserved-headers',
    clauses: ['S4', 'M2'],
    name: "a header of msgloop's own is refused, in any case of letters",
    run: (t) =>
      refusedUnsent(
        t,
        () =>
          ['msgloop-attempt', 'msgloop-', 'MsgLoop-Dead', 'msgloop-anything'].map(
            (name) => [`header ${name}`, {}, { headers: { [name]: '1' } }] as const,
          ),
        'INVALID',
      ),
  },
  {
    id: 'S4-headers',
    clauses: ['S4', 'M2'],
    name: 'a header whose name no broker could carry, or whose value is no string, is refused',
    run: (t) =>
      refusedUnsent(
        t,
        () => [
          ...['', ' ', 'a b', 'a:b', 'a\r\nb', 'ü', 'a\0'].map(
            (name) => [`header name ${JSON.stringify(name)}`, {}, { headers: { [name]: '1' } }] as const,
          ),
          ...[1, null, undefined, {}, ['a'], '\ud800'].map(
            (value) => [`header value ${String(value)}`, {}, { headers: { a: wrong(value) } }] as const,
          ),
          ['headers that are no object', {}, { headers: wrong('a=b') }],
          ['headers that are null', {}, { headers: wrong(null) }],
        ],
        'INVALID',
      ),
  },
  {
    id: 'S4-header-limits',
    clauses: ['S4', 'M2', 'C1'],
    name: 'one header or one byte of headers over the limit is refused as TOO_LARGE',
    run: (t) => {
      const { headerCount, headerBytes } = t.capabilities.limits
      const many = Array.from({ length: headerCount + 1 }, (_, n) => [`h${n}`, ''])
      return refusedUnsent(
        t,
        () => [
          [`${headerCount + 1} headers`, {}, { headers: Object.fromEntries(many) }],
          [`${headerBytes + 1} bytes of headers`, {}, { headers: { a: 'x'.repeat(headerBytes) } }],
        ],
        'TOO_LARGE',
      )
    },
  },
  {
    id: 'S4-body-limit',
    clauses: ['S4', 'M1', 'C1'],
    name: 'a body one byte over the limit is refused as TOO_LARGE before any I/O',
    run: (t) =>
      refusedUnsent(
        t,
        () => [['an oversize body', new Uint8Array(t.capabilities.limits.bodyBytes + 1)]],
        'TOO_LARGE',
        () => t.define({ codec: bytes() }),
      ),
  },
  {
    id: 'S4-json',
    clauses: ['S4', 'M1'],
    name: 'a body that JSON would lose or cannot hold is refused before any I/O',
    run: (t) => {
      const circle: Record<string, unknown> = {}
      circle.self = circle
      let deep: unknown = 0
      for (let depth = 0; depth < 200_000; depth++) deep = [deep]
      return refusedUnsent(
        t,
        () => [
          ['undefined', undefined],
          ['a function', () => {}],
          ['a symbol', Symbol('s')],
          ['a bigint', 1n],
          ['a nested bigint', { a: [1n] }],
          ['a circle', circle],
          ['a body nested too deep to write', deep],
          ['a body whose toJSON throws', { toJSON: () => assert.fail('on purpose') }],
        ],
        'INVALID',
      )
    },
  },
  {
    id: 'S4-codec',
    clauses: ['S4'],
    name: 'a body that the codec of the queue does not take is refused before any I/O',
    async run(t) {
      await refusedUnsent(
        t,
        () => [['a number as text', 7]],
        'INVALID',
        () => t.define({ codec: text() }),
      )
      await refusedUnsent(
        t,
        () => [['text as bytes', 'x']],
        'INVALID',
        () => t.define({ codec: bytes() }),
      )
    },
  },
  {
    id: 'S4-schema',
    clauses: ['S4', 'M5'],
    name: 'a body that does not match the schema is refused before any I/O, also by an asynchronous schema',
    async run(t) {
      await refusedUnsent(
        t,
        () => [['a string', 'x']],
        'INVALID',
        () => t.define({ schema: numberSchema() }),
      )
      await refusedUnsent(
        t,
        () => [['a string', 'x']],
        'INVALID',
        () => t.define({ schema: numberSchema({ later: true }) }),
      )
    },
  },
  {
    id: 'S4-fields',
    clauses: ['S4', 'M3'],
    name: 'an id or another field that no broker could carry is refused before any I/O',
    run: (t) =>
      refusedUnsent(
        t,
        () => [
          ...['', 'a b', 'ü', 'x'.repeat(129), 'a\n', wrong(7)].map(
            (id) => [`id ${JSON.stringify(id)}`, {}, { id }] as const,
          ),
          ...(['correlationId', 'causationId', 'type', 'schemaVersion', 'key'] as const).flatMap((field) => [
            [`${field} as a number`, {}, { [field]: wrong(7) }] as const,
            [`${field} of 10 000 characters`, {}, { [field]: 'x'.repeat(10_000) }] as const,
          ]),
          ['an unknown priority', {}, { priority: wrong('urgent') }],
        ],
        'INVALID',
      ),
  },
]
