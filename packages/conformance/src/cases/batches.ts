import assert from 'node:assert/strict'
import type { Batch, Message } from '@msgloop/core'
import { fixed, Reject, RetryAfter } from '@msgloop/core'
import type { Case } from '../case.js'
import { between, refused } from '../expect.js'
import type { Numbered } from '../key-log.js'
import { KeyLog, keysNamed, sendNumbered } from '../key-log.js'
import { numberSchema } from '../schema.js'
import { deferred, pause } from '../wait.js'
import { needsOrderByKey } from './needs.js'

const numbers = (messages: readonly Message<number>[]): number[] => messages.map(({ body }) => body)

/** `consumeBatch`. */
export const batchCases: readonly Case[] = [
  {
    id: 'R10-full',
    clauses: ['R10'],
    name: 'a full batch begins at once, has no more than its size, and returning acks all of it',
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      await queue.sendBatch([1, 2, 3, 4, 5, 6, 7, 8].map((body) => ({ body })))
      const batches: number[][] = []
      const consumer = queue.consumeBatch((messages) => void batches.push(numbers(messages)), {
        size: 4,
        wait: '1h',
      })
      await t.count('batches', batches, 2)
      assert.deepEqual(
        batches.map(({ length }) => length),
        [4, 4],
      )
      assert.deepEqual(batches.flat().sort(), [1, 2, 3, 4, 5, 6, 7, 8])
      await consumer.close()
      await t.empty(await t.open(definition))
    },
  },
  {
    id: 'R10-wait',
    clauses: ['R10'],
    name: 'a batch that does not fill up begins when its first message has waited',
    async run(t) {
      const queue = await t.queue<number>()
      const handled: number[] = []
      queue.consumeBatch((messages) => void handled.push(...numbers(messages)), { size: 100, wait: 200 })
      for (const n of [1, 2, 3]) await queue.send(n)
      await t.count('messages', handled, 3)
      await queue.send(4)
      await t.count('messages', handled, 4)
    },
  },
  {
    id: 'R10-outcomes',
    clauses: ['R10', 'T1', 'T7'],
    name: 'each message of a batch has an outcome of its own',
    async run(t) {
      const queue = await t.queue<number>({ retry: fixed({ attempts: 3, delay: 100 }) })
      const seen: string[] = []
      queue.consumeBatch(
        (messages, batch) => {
          for (const message of messages) {
            seen.push(`${message.body}.${message.attempt}`)
            if (message.body === 2 && message.attempt === 1) batch.fail(message, new Error('again'))
            if (message.body === 3) batch.fail(message, new Reject('never'))
            if (message.body === 4) batch.fail(message, new TypeError('each time'))
            if (message.body === 5 && message.attempt === 1) batch.fail(message, new RetryAfter(100))
          }
        },
        { size: 5, wait: 100 },
      )
      await queue.sendBatch([1, 2, 3, 4, 5].map((body) => ({ body })))
      const dead = await t.dead(queue, 2)
      assert.deepEqual(dead.map((entry) => `${entry.body()} ${entry.reason} ${entry.attemptCount}`).sort(), [
        '3 rejected 1',
        '4 exhausted 3',
      ])
      await t.count('runs', seen, 9)
      assert.deepEqual([...seen].sort(), ['1.1', '2.1', '2.2', '3.1', '4.1', '4.2', '4.3', '5.1', '5.2'])
    },
  },
  {
    id: 'R10-throws',
    clauses: ['R10', 'T1'],
    name: 'a batch handler that throws fails every message of it, each by the policy',
    async run(t) {
      const queue = await t.queue<number>({ retry: fixed({ attempts: 2, delay: 100 }) })
      queue.consumeBatch(
        (messages, batch) => {
          const [first] = messages
          if (first?.body === 1) batch.fail(first, new TypeError('of its own'))
          throw new RangeError('of all')
        },
        { size: 3, wait: 200 },
      )
      await queue.sendBatch([1, 2, 3].map((body) => ({ body })))
      const dead = await t.dead(queue, 3)
      assert.ok(dead.every(({ reason, attemptCount }) => reason === 'exhausted' && attemptCount === 2))
      const names = new Set(dead.map(({ error }) => error?.name))
      assert.ok(names.has('RangeError'))
      const [one] = dead.filter((entry) => entry.body() === 1)
      assert.ok(one, 'the first is dead too')
    },
  },
  {
    id: 'R10-unseen',
    clauses: ['R10', 'M5', 'W2'],
    name: 'what no handler may see is in no batch, and holds none up',
    async run(t) {
      const definition = t.define<number>({ schema: numberSchema() })
      const spec = await t.declare(definition)
      const contentType = 'application/json'
      await t.sendRaw(spec, [
        { id: 'broken', body: Buffer.from('{'), contentType },
        { id: 'no-number', body: Buffer.from('"x"'), contentType },
        { id: 'expired', body: Buffer.from('3'), contentType, expiresAt: Date.now() - 1_000 },
        { id: 'good', body: Buffer.from('4'), contentType },
      ])
      const queue = await t.open(definition)
      const batches: string[][] = []
      queue.consumeBatch((messages) => void batches.push(messages.map(({ id }) => id)), {
        size: 4,
        wait: 300,
      })
      const dead = await t.dead(queue, 3)
      assert.deepEqual(dead.map(({ id }) => id).sort(), ['broken', 'expired', 'no-number'])
      await t.count('batches', batches, 1)
      assert.deepEqual(batches, [['good']])
    },
  },
  {
    id: 'R10-lease',
    clauses: ['R10', 'R5'],
    name: 'leases are renewed while a batch gathers and runs, so that nothing of it comes twice',
    exclusive: true,
    async run(t) {
      const definition = t.define<number>({ lease: '1s' })
      const queue = await t.open(definition)
      const seen: number[] = []
      const consumer = queue.consumeBatch(
        async (messages) => {
          seen.push(...numbers(messages))
          await pause(2_500)
        },
        { size: 10, wait: 1_500 },
      )
      await queue.sendBatch([1, 2, 3].map((body) => ({ body })))
      await t.count('messages', seen, 3)
      await consumer.close()
      await t.empty(await t.open(definition), 1_500)
      assert.deepEqual([...seen].sort(), [1, 2, 3])
    },
  },
  {
    id: 'R10-close',
    clauses: ['R10', 'L2', 'T8'],
    name: 'closing lets a batch that runs finish, and gives back what waits for one at no cost',
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      const gate = deferred()
      const started: number[] = []
      const consumer = queue.consumeBatch(
        async (messages) => {
          started.push(...numbers(messages))
          await gate.promise
        },
        { size: 2, wait: '1h', concurrency: 2 },
      )
      await queue.sendBatch([1, 2, 3].map((body) => ({ body })))
      await t.count('messages in a batch', started, 2)
      const closing = consumer.close()
      const [left] = await t.until(
        'the one that waited',
        async () => await (await t.open(definition)).receive({ wait: '1s' }),
        ({ length }) => length > 0,
      )
      assert.ok(left && !started.includes(left.body))
      assert.equal(left.attempt, 1)
      await left.ack()
      gate.resolve()
      await t.settled('the consumer to close', closing)
      await t.empty(await t.open(definition))
    },
  },
  {
    id: 'R10-concurrency',
    clauses: ['R10', 'R2', 'L6'],
    name: 'no more batches run at once than `concurrency` says, also after it has changed',
    async run(t) {
      const queue = await t.queue<number>()
      let running = 0
      let most = 0
      let handled = 0
      const consumer = queue.consumeBatch(
        async (messages) => {
          most = Math.max(most, ++running)
          await pause(20)
          running--
          handled += messages.length
        },
        { size: 3, wait: 50, concurrency: 2 },
      )
      await queue.sendBatch(Array.from({ length: 30 }, (_, body) => ({ body })))
      await t.until(
        'all to be handled',
        () => handled,
        (count) => count === 30,
      )
      between('batches at once', most, 1, 2)
      most = 0
      consumer.concurrency = 1
      await queue.sendBatch(Array.from({ length: 12 }, (_, body) => ({ body })))
      await t.until(
        'all to be handled',
        () => handled,
        (count) => count === 42,
      )
      assert.equal(most, 1)
    },
  },
  {
    id: 'R10-timeout',
    clauses: ['R10', 'L7'],
    name: 'a batch that does not end within handlerTimeout has failed, and makes room for another',
    async run(t) {
      const queue = await t.queue<number>({ retry: fixed({ attempts: 2, delay: 100 }) })
      const seen: string[] = []
      queue.consumeBatch(
        (messages) => {
          seen.push(...messages.map(({ body, attempt }) => `${body}.${attempt}`))
          return messages.some(({ attempt }) => attempt === 1) ? new Promise(() => {}) : undefined
        },
        { size: 2, wait: 100, handlerTimeout: 300 },
      )
      await queue.sendBatch([1, 2].map((body) => ({ body })))
      await t.count('runs', seen, 4)
      assert.deepEqual([...seen].sort(), ['1.1', '1.2', '2.1', '2.2'])
    },
  },
  {
    id: 'R10-order',
    clauses: ['R10', 'O2'],
    name: 'batches of a queue with order by key keep the order of each key, also when messages of them fail',
    skip: needsOrderByKey,
    timeoutMs: 60_000,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', retry: fixed({ attempts: 5, delay: 100 }) })
      const log = new KeyLog()
      const handler = log.handler(({ n }, nth) => {
        if (n % 4 === 1 && nth === 1) throw new Error('again')
      })
      const run = async (messages: readonly Message<Numbered>[], batch: Batch<Numbered>): Promise<void> => {
        for (const message of messages)
          await handler(message.body).catch((error) => batch.fail(message, error))
      }
      for (let worker = 0; worker < 2; worker++)
        (await t.open(definition)).consumeBatch(run, { size: 5, wait: 30 })
      await sendNumbered(await t.open(definition), keysNamed(8), 6)
      await t.until(
        'all to be done',
        () => log.completed,
        (completed) => completed === 48,
      )
      log.assertInOrder()
    },
  },
  {
    id: 'R10-refused',
    clauses: ['R10', 'S4'],
    name: 'a batch without a size, for exactly-once, or an outcome for a message of another batch is refused',
    async run(t) {
      const queue = await t.queue<number>()
      const handler = (): void => {}
      await refused('no size', () => queue.consumeBatch(handler, {} as never), 'INVALID')
      await refused('too large', () => queue.consumeBatch(handler, { size: 1_001 }), 'INVALID')
      await refused(
        'prefetch',
        () => queue.consumeBatch(handler, { size: 2, prefetch: 1 } as never),
        'INVALID',
      )
      const once = await t.queue<number>({ guarantee: 'exactly-once' })
      await refused('exactly-once', () => once.consumeBatch(handler, { size: 2 }), 'UNSUPPORTED')
      const past: { message: Message<number>; batch: Batch<number> }[] = []
      queue.consumeBatch(
        ([message], batch) => {
          if (message) past.push({ message, batch })
        },
        { size: 1 },
      )
      await queue.send(1)
      await queue.send(2)
      await t.count('batches', past, 2)
      const [first, second] = past
      await refused('another batch', () => second && first?.batch.fail(second.message, 1), 'INVALID')
    },
  },
]
