import assert from 'node:assert/strict'
import { bytes, fixed, immediate, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import { decorate } from '../decorate.js'
import { between, sameBytes, sameMembers } from '../expect.js'
import { randomBytes } from '../random.js'
import { witness } from '../witness.js'

class Timeout extends Error {
  override readonly name = 'Timeout'
}

export const deadLetterCases: readonly Case[] = [
  {
    id: 'D1-record',
    clauses: ['D1', 'M1'],
    name: 'an entry keeps bytes, id, headers and fields, and tells source, reason, last error, times and every attempt',
    async run(t) {
      const queue = await t.queue<unknown>({ codec: bytes(), retry: fixed({ attempts: 3, delay: 100 }) })
      const runs = t.consume(
        queue,
        (_, message) => {
          throw new Timeout(`attempt ${message.attempt}`)
        },
        { name: 'billing-1' },
      )
      const body = randomBytes(t.random, 2_000)
      const fields = { key: 'customer-7', type: 'order.created', correlationId: 'corr' }
      const headers = { tenant: 'a', 'X-Case': 'Ä' }
      const before = Date.now()
      const id = await queue.send(body, { headers, ...fields })
      const [entry] = await t.dead(queue, 1)
      const after = Date.now()
      assert.ok(entry)
      assert.equal(entry.id, id)
      assert.equal(entry.reason, 'exhausted')
      assert.equal(entry.source, queue.name)
      sameBytes('the original bytes', entry.bytes, body)
      const decoded = entry.body()
      assert.ok(decoded instanceof Uint8Array)
      assert.deepEqual({ ...entry.headers }, headers)
      assert.deepEqual({ key: entry.key, type: entry.type, correlationId: entry.correlationId }, fields)
      assert.equal(entry.error?.name, 'Timeout')
      assert.equal(entry.error?.message, 'attempt 3')
      assert.match(entry.error?.stack ?? '', /attempt 3/)
      assert.equal(entry.attemptCount, 3)
      assert.equal(entry.deliveries, 3)
      assert.equal(entry.replays, 0)
      between('timestamp', entry.timestamp?.getTime() ?? 0, before - 1_000, after)
      between('firstAttemptAt', entry.firstAttemptAt?.getTime() ?? 0, before - 2, after)
      between('deadAt', entry.deadAt?.getTime() ?? 0, entry.firstAttemptAt?.getTime() ?? 0, after)
      assert.deepEqual(
        entry.attempts.map(({ attempt, consumer, error }) => [attempt, consumer, error.name, error.message]),
        [1, 2, 3].map((n) => [n, 'billing-1', 'Timeout', `attempt ${n}`]),
      )
      for (const { attempt, at, durationMs } of entry.attempts) {
        const run = runs.list[attempt - 1]
        between('time of the attempt', at, (run?.startedAt ?? 0) - 50, (run?.startedAt ?? 0) + 2)
        between('duration of the attempt', durationMs, 0, after - before)
      }
    },
  },
  {
    id: 'D1-bounded',
    clauses: ['D1'],
    name: 'the history stays within 8 KiB: the first 3 and the last attempts are kept, and all are counted',
    async run(t) {
      const queue = await t.queue({ retry: immediate({ attempts: 60 }), maxDeliveries: 200 })
      const runs = t.consume(queue, (_, message) => {
        throw new Timeout(`attempt ${message.attempt} ${'x'.repeat(2_000)} ü`)
      })
      await queue.send({})
      const [entry] = await t.dead(queue, 1)
      assert.equal(runs.list.length, 60)
      assert.equal(entry?.attemptCount, 60)
      const attempts = entry?.attempts ?? []
      between('bytes of the history', Buffer.byteLength(JSON.stringify(attempts)), 1, 8_192)
      const numbers = attempts.map(({ attempt }) => attempt)
      assert.deepEqual(numbers.slice(0, 3), [1, 2, 3])
      assert.equal(numbers.at(-1), 60)
      assert.deepEqual(
        numbers.slice(3),
        numbers.slice(3).map((_, n, rest) => 60 - rest.length + 1 + n),
        'the last ones are kept without a gap',
      )
    },
  },
  {
    id: 'D1-stack',
    clauses: ['D1'],
    name: 'a stack of any size is cut at 4 KiB, and an endless message does no harm',
    async run(t) {
      const queue = await t.queue()
      t.consume(queue, () => {
        const error = new Reject('m'.repeat(300_000))
        error.stack = `Reject: ${'ü'.repeat(200_000)}`
        throw error
      })
      await queue.send({})
      const [entry] = await t.dead(queue, 1)
      between('bytes of the stack', Buffer.byteLength(entry?.error?.stack ?? ''), 1, 4_096)
      assert.ok((entry?.error?.message ?? '').startsWith('mmm'))
    },
  },
  {
    id: 'D1-largest',
    clauses: ['D1', 'D2', 'C1'],
    name: 'the largest message with the most headers can be retried and dead-lettered, history and all',
    timeoutMs: 60_000,
    skip: ({ limits }) =>
      limits.bodyBytes > 64 * 1024 * 1024
        ? `the limit is ${limits.bodyBytes} bytes; too much for an ordinary run`
        : undefined,
    async run(t) {
      const { bodyBytes, headerBytes } = t.capabilities.limits
      const queue = await t.queue<unknown>({
        codec: bytes(),
        retry: immediate({ attempts: 12 }),
        maxDeliveries: 50,
      })
      const runs = t.consume(queue, () => {
        const error = new Timeout('x'.repeat(5_000))
        error.stack = 's'.repeat(20_000)
        throw error
      })
      const body = new Uint8Array(bodyBytes).fill(0xfe)
      const headers = { a: 'x'.repeat(headerBytes - 1) }
      const id = await queue.send(body, { headers })
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.id, id)
      assert.equal(runs.list.length, 12)
      sameBytes('the original bytes', entry?.bytes ?? new Uint8Array(), body)
      assert.deepEqual({ ...entry?.headers }, headers)
      assert.equal(entry?.attempts.at(-1)?.attempt, 12)
    },
  },
  {
    id: 'D2-queue-gone',
    clauses: ['D2', 'L5'],
    name: 'when the dead-letter queue is gone the original is not lost, and the entry is there once the queue is back',
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      await queue.deadLetters.queue.receive()
      await queue.receive()
      await (await t.open(definition)).deadLetters.queue.delete()
      const runs = t.consume(queue, () => {
        throw new Reject('no')
      })
      const ids = await Promise.all([1, 2, 3].map((n) => queue.send(n)))
      await t.count('handler runs', runs.list, 3)
      // Another process that declares: the core may have made it again by itself already.
      const other = await t.open(definition)
      const entries = await t.dead(other, 3)
      sameMembers('entries', [...new Set(entries.map(({ id }) => id))], ids)
      await t.empty(other, 500)
    },
  },
  {
    id: 'D2-move-fails',
    clauses: ['D2'],
    name: 'when storing the entry fails, the original stays, and the entry is stored later, once',
    async run(t) {
      let failures = 0
      const queue = await t.queue(
        { lease: '1s' },
        {
          wrap: (driver) =>
            decorate(driver, {
              receiver: (inner) => ({
                async settle(batch, signal) {
                  const moves = batch.filter(({ verdict }) => verdict.kind === 'move')
                  if (moves.length === 0 || failures >= 3) return await inner.settle(batch, signal)
                  failures++
                  throw new Error('the dead-letter queue refuses')
                },
              }),
            }),
        },
      )
      const runs = t.consume(queue, () => {
        throw new Reject('no')
      })
      const id = await queue.send({})
      await t.dead(queue, 1)
      await runs.consumer.close()
      assert.equal(failures, 3)
      assert.deepEqual(
        (await t.deadNow(queue)).map((entry) => entry.id),
        [id],
      )
      await t.empty(queue)
    },
  },
  {
    id: 'D2-outage',
    clauses: ['D2', 'L4'],
    name: 'when the connection goes as the entry is being stored, the message ends as a dead letter all the same',
    skip: (_, harness) => (harness.disconnect ? undefined : 'the harness cannot cut connections'),
    async run(t) {
      const definition = t.define({ lease: '1s', retry: immediate({ attempts: 2 }) })
      const queue = await t.open(definition)
      let cut = 0
      t.consume(queue, async (_, message) => {
        if (message.attempt === 2 && cut++ < 3) void t.disconnect(t.brokerOf(queue))
        throw new Error('always')
      })
      const ids = (await queue.sendBatch(Array.from({ length: 10 }, (_, body) => ({ body })))).map(
        ({ id }) => id,
      )
      const other = await t.open(definition)
      const entries = await t.until(
        'every message to be dead-lettered',
        () => t.deadNow(other),
        (list) => new Set(list.map(({ id }) => id)).size === 10,
      )
      sameMembers('entries', [...new Set(entries.map(({ id }) => id))], ids)
    },
  },
  {
    id: 'D4-queue',
    clauses: ['D4'],
    name: 'a dead-letter queue is consumed and counted like any queue, and its messages are as they were',
    async run(t) {
      const queue = await t.queue({ retry: immediate({ attempts: 1 }) })
      t.consume(queue, () => Promise.reject(new Error('always')))
      const id = await queue.send({ n: 7 }, { headers: { tenant: 'a' }, key: 'k', ttl: '1h' })
      await t.dead(queue, 1)
      const { deadLetters } = queue
      assert.equal(deadLetters.queue.name, `${queue.name}.dlq`)
      if (t.capabilities.stats.includes('ready')) {
        await t.until(
          'one entry to be counted',
          () => queue.stats(),
          ({ dead }) => dead === 1,
        )
        assert.equal((await deadLetters.queue.stats()).ready, 1)
      }
      const runs = t.consume(deadLetters.queue)
      await t.count('entries consumed', runs.list, 1)
      const message = runs.list[0]?.message
      assert.equal(message?.id, id)
      assert.deepEqual(message?.body, { n: 7 })
      assert.deepEqual({ ...message?.headers }, { tenant: 'a' })
      assert.equal(message?.key, 'k')
      assert.equal(message?.expiresAt, undefined, 'an entry does not expire')
      await runs.consumer.close()
      assert.deepEqual(await t.deadNow(queue), [])
    },
  },
  {
    id: 'D4-handler-fails',
    clauses: ['D4'],
    name: 'an entry whose handler fails stays in the dead-letter queue, with its record',
    async run(t) {
      const queue = await t.queue()
      t.consume(queue, () => {
        throw new Reject('first')
      })
      const id = await queue.send({})
      await t.dead(queue, 1)
      const runs = t.consume(queue.deadLetters.queue, () => Promise.reject(new Error('also here')))
      await t.count('handler runs', runs.list, 1)
      await runs.consumer.close()
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.id, id)
      assert.equal(entry?.reason, 'rejected')
      assert.equal(entry?.error?.message, 'first')
    },
  },
  {
    id: 'D8-retention',
    clauses: ['D8'],
    name: 'the dead-letter queue is declared with its retention: 14 days unless told otherwise',
    async run(t) {
      const retention = async (options: Parameters<typeof t.define>[0]): Promise<number | undefined> => {
        const definition = t.define(options)
        const { watch, declared } = witness()
        await (await t.open(definition, { wrap: watch })).receive()
        const spec = declared.find(({ name }) => name === definition.deadLetter)
        assert.ok(spec?.kind === 'queue' && spec.role === 'dead-letter', 'it is declared')
        return spec.retentionMs
      }
      const DAY_MS = 86_400_000
      assert.equal(await retention({}), 14 * DAY_MS)
      assert.equal(await retention({ deadLetterRetention: '3d' }), 3 * DAY_MS)
    },
  },
]
