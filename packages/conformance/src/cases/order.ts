import assert from 'node:assert/strict'
import { defineQueue, fixed, immediate, Reject } from '@msgloop/core'
import { DriverError } from '@msgloop/core/driver'
import type { Case } from '../case.js'
import { decorate } from '../decorate.js'
import { refused } from '../expect.js'
import type { Numbered } from '../key-log.js'
import { KeyLog, keysApart, keysNamed, sendNumbered } from '../key-log.js'
import { notEarly } from '../tolerance.js'
import { deferred, pause } from '../wait.js'
import { witness } from '../witness.js'
import { needsOrderByKey } from './needs.js'

/** Order by key while everybody behaves. */
export const orderCases: readonly Case[] = [
  {
    id: 'O2-refused',
    clauses: ['O2', 'C1'],
    name: 'order by key is refused as UNSUPPORTED before any I/O where the broker has none',
    skip: ({ order }) => (order === 'none' ? undefined : 'the broker has order by key'),
    async run(t) {
      const { watch, calls } = witness()
      const broker = await t.broker({ wrap: watch })
      const definition = defineQueue(t.harness.unique('q'), { order: 'key' })
      await refused('order', () => broker.queue(definition), 'UNSUPPORTED')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'O2-delay-refused',
    clauses: ['O2', 'S4'],
    name: 'a delay on a queue with order by key is refused as INVALID before any I/O',
    skip: needsOrderByKey,
    async run(t) {
      const { watch, calls } = witness()
      const queue = await t.queue({ order: 'key' }, { wrap: watch })
      await refused('delay', () => queue.send({}, { key: 'a', delay: '1s' }), 'INVALID', 'rejected')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'O2-send-again',
    clauses: ['O2', 'S3', 'S8'],
    name: 'what was not stored is sent again before later ones of its key, and not after one of them was stored',
    skip: needsOrderByKey,
    async run(t) {
      let broken: 'all' | 'first' | 'none' = 'all'
      const definition = t.define<Numbered>({ order: 'key' })
      const queue = await t.open(definition, {
        wrap: (driver) =>
          decorate(driver, {
            sender: (inner) => ({
              async send(batch, signal) {
                const failing = broken
                broken = failing === 'all' ? 'first' : 'none'
                const busy = new DriverError('BUSY', 'not now', { retryable: true, outcome: 'rejected' })
                if (failing === 'all') return batch.map((_, index) => ({ index, error: busy }))
                if (failing === 'none') return await inner.send(batch, signal)
                assert.deepEqual(await inner.send(batch.slice(1), signal), [])
                return [{ index: 0, error: busy }]
              },
            }),
          }),
      })
      const results = await queue.sendBatch([0, 1, 2].map((n) => ({ body: { key: 'a', n }, key: 'a' })))
      await queue.send({ key: 'a', n: 3 }, { key: 'a' })
      assert.deepEqual(
        results.map((result) => (result.ok ? 'stored' : `${result.error.code} ${result.error.outcome}`)),
        ['BUSY rejected', 'stored', 'stored'],
      )
      const runs = t.consume(queue)
      await t.count('handler runs', runs.list, 3)
      assert.deepEqual(
        runs.list.map(({ body }) => body.n),
        [1, 2, 3],
      )
    },
  },
  {
    id: 'O2-workers',
    clauses: ['O2', 'T1'],
    name: '8 workers and 40 keys: of one key no message begins before the one before it is done, whatever fails and is retried',
    skip: needsOrderByKey,
    timeoutMs: 90_000,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', retry: fixed({ attempts: 4, delay: 100 }) })
      const log = new KeyLog()
      const failures = new Map<string, number>()
      const work = async ({ key, n }: Numbered): Promise<void> => {
        await pause(t.random() * 4)
        const name = `${key}:${n}`
        const left = failures.get(name) ?? (t.random() < 0.1 ? 1 + Math.floor(t.random() * 2) : 0)
        failures.set(name, left - 1)
        if (left > 0) throw new Error('not this time')
      }
      const handler = log.handler(work)
      for (let worker = 0; worker < 8; worker++)
        t.consume(await t.open(definition), handler, { concurrency: 4 })
      const sending = await t.open(definition)
      await sendNumbered(sending, keysNamed(40), 10)
      await t.until(
        'all to be done',
        () => log.completed,
        (completed) => completed === 400,
      )
      log.assertInOrder()
      assert.deepEqual(await t.deadNow(sending), [])
    },
  },
  {
    id: 'O2-parallel',
    clauses: ['O2'],
    name: 'different keys, and messages without a key, run in parallel',
    skip: needsOrderByKey,
    async run(t) {
      const queue = await t.queue<number>({ order: 'key' })
      const gate = deferred()
      const runs = t.consume(queue, () => gate.promise, { concurrency: 16 })
      for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) await queue.send(n, { key: `key-${n}` })
      await t.count('keys at once', runs.list, 2)
      gate.resolve()
      await t.count('handler runs', runs.list, 8)
      const others = deferred()
      const second = await t.queue<number>({ order: 'key' })
      const unkeyed = t.consume(second, () => others.promise, { concurrency: 16 })
      for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) await second.send(n)
      await t.count('messages without a key at once', unkeyed.list, 2)
      others.resolve()
      await t.count('handler runs', unkeyed.list, 8)
    },
  },
  {
    id: 'O2-unordered',
    clauses: ['O2', 'O1'],
    name: 'on a queue without order, messages of one key run in parallel',
    async run(t) {
      const queue = await t.queue<number>()
      const gate = deferred()
      const runs = t.consume(queue, () => gate.promise)
      for (const n of [1, 2]) await queue.send(n, { key: 'a' })
      await t.count('messages of one key at once', runs.list, 2)
      gate.resolve()
    },
  },
  {
    id: 'O2-long-retry',
    clauses: ['O2', 'T4'],
    name: 'while one key waits for a long retry others go on, though there is one slot, and the key goes on with that message',
    skip: needsOrderByKey,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', retry: fixed({ attempts: 2, delay: '5s' }) })
      const queue = await t.open(definition)
      await sendNumbered(queue, ['slow'], 3)
      const runs = t.consume(
        queue,
        ({ key, n }, { attempt }) => {
          if (key === 'slow' && n === 0 && attempt === 1) throw new Error('wait')
        },
        { concurrency: 1 },
      )
      await t.count('failed runs', runs.list, 1)
      await sendNumbered(queue, keysApart(5, 'slow'), 1)
      await t.count('handler runs', runs.list, 9)
      const ran = runs.list.map(({ body, attempt }) => `${body.key}:${body.n}:${attempt}`)
      assert.deepEqual(
        ran.filter((name) => name.startsWith('slow')),
        ['slow:0:1', 'slow:0:2', 'slow:1:1', 'slow:2:1'],
      )
      assert.equal(ran.indexOf('slow:0:2'), 6, `others did not wait for it: ${ran}`)
      const [first, again] = runs.of(runs.ids()[0] ?? '')
      notEarly('ms until the retry', (again?.startedAt ?? 0) - (first?.endedAt ?? 0), 5_000)
    },
  },
  {
    id: 'O2-many-wait',
    clauses: ['O2', 'T4'],
    name: 'more keys that wait for a retry than there are slots hold up no other key',
    skip: needsOrderByKey,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', retry: fixed({ attempts: 2, delay: '4s' }) })
      const queue = await t.open(definition)
      const failing = keysApart(6, 'other')
      await sendNumbered(queue, failing, 2)
      const runs = t.consume(
        queue,
        ({ key, n }, { attempt }) => {
          if (failing.includes(key) && n === 0 && attempt === 1) throw new Error('wait')
        },
        { concurrency: 2 },
      )
      await t.count('failed runs', runs.list, 6)
      await sendNumbered(queue, ['other'], 1)
      await t.count('handler runs', runs.list, 7)
      assert.equal(runs.list[6]?.body.key, 'other')
      await t.count('handler runs', runs.list, 6 + 1 + 12)
    },
  },
  {
    id: 'O2-attempts',
    clauses: ['O2', 'T1', 'D1'],
    name: 'a message of an ordered queue has exactly its attempts, is dead-lettered with a record of each, and then the next of its key runs',
    skip: needsOrderByKey,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', retry: fixed({ attempts: 3, delay: 100 }) })
      const queue = await t.open(definition)
      await sendNumbered(queue, ['a'], 3)
      const runs = t.consume(queue, ({ n }) => {
        if (n === 0) throw new TypeError('never')
        if (n === 1) throw new Reject('not this one')
      })
      await t.count('handler runs', runs.list, 5)
      assert.deepEqual(
        runs.list.map(({ body, attempt }) => `${body.n}:${attempt}`),
        ['0:1', '0:2', '0:3', '1:1', '2:1'],
      )
      const dead = await t.dead(queue, 2)
      const byReason = new Map(dead.map((entry) => [entry.reason, entry]))
      const exhausted = byReason.get('exhausted')
      assert.equal(exhausted?.attemptCount, 3)
      assert.deepEqual(
        exhausted?.attempts.map(({ attempt, error }) => `${attempt} ${error.name}`),
        ['1 TypeError', '2 TypeError', '3 TypeError'],
      )
      assert.equal(byReason.get('rejected')?.attemptCount, 1)
      assert.equal(exhausted?.key, 'a')
    },
  },
  {
    id: 'O2-dead-letters-plain',
    clauses: ['O2', 'D4'],
    name: 'the dead-letter queue of an ordered queue has no order: its entries run in parallel',
    skip: needsOrderByKey,
    async run(t) {
      const queue = await t.queue<Numbered>({ order: 'key' })
      await sendNumbered(queue, ['a'], 2)
      t.consume(queue, () => {
        throw new Reject('no')
      })
      await t.dead(queue, 2)
      const gate = deferred()
      const runs = t.consume(queue.deadLetters.queue, () => gate.promise)
      await t.count('entries at once', runs.list, 2)
      gate.resolve()
    },
  },
  {
    id: 'O2-expired',
    clauses: ['O2', 'W2'],
    name: 'an expired message at the head of its key is dead-lettered and the next one runs',
    skip: needsOrderByKey,
    async run(t) {
      const queue = await t.queue<number>({ order: 'key' })
      await queue.send(0, { key: 'a', ttl: 100 })
      await queue.send(1, { key: 'a' })
      await pause(150)
      const runs = t.consume(queue)
      await t.count('handler runs', runs.list, 1)
      assert.equal(runs.list[0]?.body, 1)
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.reason, 'expired')
    },
  },
  {
    id: 'O2-one-key',
    clauses: ['O2'],
    name: 'a long run of messages of one key is handled in order, by two workers',
    skip: needsOrderByKey,
    timeoutMs: 90_000,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', retry: immediate({ attempts: 2 }) })
      const sending = await t.open(definition)
      const log = new KeyLog()
      // Where settlements wait for company, each message of a key waits for the one before it that much longer.
      const count = t.capabilities.limits.settleLingerMs > 0 ? 500 : 2_000
      // All are there before anybody consumes: handed over one at a time they could not be mixed up.
      await sendNumbered(sending, ['only'], count)
      for (let worker = 0; worker < 2; worker++) t.consume(await t.open(definition), log.handler())
      await t.until(
        'all to be done',
        () => log.completed,
        (completed) => completed === count,
      )
      log.assertInOrder()
    },
  },
  {
    id: 'O2-spread',
    clauses: ['O2'],
    name: 'keys spread: each of four workers gets some',
    skip: needsOrderByKey,
    timeoutMs: 60_000,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key' })
      const sending = await t.open(definition)
      const log = new KeyLog()
      const handled = [0, 0, 0, 0]
      for (const worker of handled.keys())
        t.consume(
          await t.open(definition),
          log.handler(async () => {
            handled[worker] = (handled[worker] ?? 0) + 1
            await pause(5)
          }),
          { concurrency: 2 },
        )
      for (let round = 0; handled.includes(0); round++) {
        assert.ok(!t.signal.aborted, `messages of each worker: ${handled}`)
        const keys = keysNamed(64).map((key) => `${round}-${key}`)
        await sendNumbered(sending, keys, 1)
        await t.until(
          'all to be done',
          () => log.completed,
          (completed) => completed === (round + 1) * 64,
        )
      }
      log.assertInOrder()
    },
  },
  {
    id: 'O2-by-hand',
    clauses: ['O2', 'R3'],
    name: '`receive` gives one message of each key at a time, and the next one once that is settled',
    skip: needsOrderByKey,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', retry: fixed({ attempts: 5, delay: 100 }) })
      const queue = await t.open(definition)
      await sendNumbered(queue, ['a'], 3)
      const take = async () => {
        const batch = await t.until(
          'a delivery',
          () => queue.receive({ max: 10, wait: '1s' }),
          ({ length }) => length > 0,
        )
        assert.equal(batch.length, 1, 'one of a key at a time')
        const [delivery] = batch
        assert.ok(delivery)
        return delivery
      }
      const first = await take()
      assert.equal(first.body.n, 0)
      await t.empty(await t.open(definition))
      await first.release()
      const again = await take()
      assert.equal(again.body.n, 0, 'what is released keeps its turn')
      if (t.capabilities.order === 'process') {
        await refused('retry', () => again.retry(), 'UNSUPPORTED')
        await again.release()
      } else await again.retry()
      const third = await take()
      assert.equal(third.body.n, 0, 'what is retried keeps its turn')
      await third.ack()
      const second = await take()
      assert.equal(second.body.n, 1)
      await second.reject()
      const last = await take()
      assert.equal(last.body.n, 2)
      await last.ack()
    },
  },
]
