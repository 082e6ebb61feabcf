import assert from 'node:assert/strict'
import { fixed, immediate, MsgloopError } from '@msgloop/core'
import type { Case } from '../case.js'
import { refused, sameMembers } from '../expect.js'
import { notEarly } from '../tolerance.js'

export const settleCases: readonly Case[] = [
  {
    id: 'R1-ack',
    clauses: ['R1'],
    name: 'an acked message is gone, and acking it again does nothing',
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      await queue.send('once')
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.ok(delivery)
      await delivery.ack()
      await delivery.ack()
      await Promise.all([delivery.ack(), delivery.ack()])
      await t.brokerOf(queue).close()
      await t.empty(await t.open(definition), 300)
    },
  },
  {
    id: 'R1-settled-otherwise',
    clauses: ['R1', 'E1'],
    name: 'settling a second time in another way fails with SETTLED, and the first way stands',
    async run(t) {
      const queue = await t.queue({ retry: immediate({ attempts: 3 }) })
      await queue.sendBatch([{ body: 1 }, { body: 2 }])
      const deliveries = await queue.receive({ max: 2, wait: '5s' })
      if (deliveries.length < 2) deliveries.push(...(await queue.receive({ wait: '5s' })))
      const [acked, retried] = deliveries
      assert.ok(acked && retried, 'two messages were received')
      await acked.ack()
      await refused('retry after ack', () => acked.retry(), 'SETTLED')
      await refused('release after ack', () => acked.release(), 'SETTLED')
      await refused('reject after ack', () => acked.reject(), 'SETTLED')
      await retried.retry()
      await refused('ack after retry', () => retried.ack(), 'SETTLED')
      const [again] = await queue.receive({ wait: '5s' })
      assert.equal(again?.id, retried.id)
      assert.equal(again?.attempt, 2)
      await again?.ack()
      await t.empty(queue)
    },
  },
  {
    id: 'R1-partial',
    clauses: ['R1', 'T1'],
    name: 'when one of ten messages received together fails, only that one comes again',
    async run(t) {
      const queue = await t.queue<number>({ retry: immediate({ attempts: 3 }) })
      await queue.sendBatch(Array.from({ length: 10 }, (_, body) => ({ body })))
      const seen: string[] = []
      while (seen.length < 11)
        for (const delivery of await queue.receive({ max: 10, wait: '5s' })) {
          seen.push(`${delivery.body} attempt ${delivery.attempt}`)
          const fails = delivery.body === 4 && delivery.attempt === 1
          await (fails ? delivery.retry({ error: new Error('four') }) : delivery.ack())
        }
      const first = Array.from({ length: 10 }, (_, n) => `${n} attempt 1`)
      sameMembers('deliveries', seen, [...first, '4 attempt 2'])
      await t.empty(queue)
    },
  },
  {
    id: 'R1-release',
    clauses: ['R1', 'T8', 'C1'],
    name: 'a released message comes back at once and costs no attempt; its deliveries rise as `releaseCounts` says',
    async run(t) {
      const queue = await t.queue()
      const id = await queue.send({ n: 1 }, { headers: { a: 'b' } })
      const { releaseCounts } = t.capabilities
      for (let time = 1; time <= 4; time++) {
        const [delivery] = await queue.receive({ wait: '5s' })
        assert.equal(delivery?.id, id)
        assert.equal(delivery?.attempt, 1, 'a release costs no attempt')
        assert.equal(delivery?.deliveries, releaseCounts ? time : 1, `deliveries of hand-over ${time}`)
        assert.deepEqual({ ...delivery?.headers }, { a: 'b' })
        await (time < 4 ? delivery?.release() : delivery?.ack())
      }
      await t.empty(queue)
    },
  },
  {
    id: 'T7-manual-retry',
    clauses: ['T7', 'T1', 'D1'],
    name: 'a manual retry is judged by the policy: its delay, its override, and the dead-letter queue after the last attempt',
    async run(t) {
      const queue = await t.queue({ retry: fixed({ attempts: 3, delay: 300 }) })
      await queue.send({})
      const [first] = await queue.receive({ wait: '5s' })
      const failedAt = Date.now()
      await first?.retry({ error: new TypeError('first') })
      const [second] = await queue.receive({ wait: '5s' })
      assert.equal(second?.attempt, 2)
      notEarly('the delay of the policy', Date.now() - failedAt, 300)
      const overriddenAt = Date.now()
      await second?.retry({ delay: '700ms' })
      const [third] = await queue.receive({ wait: '5s' })
      assert.equal(third?.attempt, 3)
      notEarly('the delay of the override', Date.now() - overriddenAt, 700)
      await third?.retry({ error: new RangeError('third') })
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.reason, 'exhausted')
      assert.equal(entry?.attemptCount, 3)
      assert.equal(entry?.error?.name, 'RangeError')
      assert.equal(entry?.attempts[0]?.error.name, 'TypeError')
      await t.empty(queue)
    },
  },
  {
    id: 'D1-manual-reject',
    clauses: ['D1', 'T7'],
    name: 'a manual reject dead-letters at once, with reason and error',
    async run(t) {
      const queue = await t.queue()
      await queue.sendBatch([
        { body: 1, id: 'a' },
        { body: 2, id: 'b' },
      ])
      for (let n = 0; n < 2; n++) {
        const [delivery] = await queue.receive({ wait: '5s' })
        await (delivery?.id === 'a' ? delivery.reject(new TypeError('no such customer')) : delivery?.reject())
      }
      const entries = await t.dead(queue, 2)
      sameMembers(
        'entries',
        entries.map(({ id }) => id),
        ['a', 'b'],
      )
      for (const entry of entries) assert.equal(entry.reason, 'rejected')
      const error = entries.find(({ id }) => id === 'a')?.error
      assert.deepEqual([error?.name, error?.message], ['TypeError', 'no such customer'])
      await t.empty(queue)
    },
  },
  {
    id: 'R1-held',
    clauses: ['R1', 'R5'],
    name: 'a message received by hand stays with its receiver until it is settled',
    async run(t) {
      const definition = t.define({ lease: '1s' })
      const queue = await t.open(definition)
      await queue.send({})
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.ok(delivery)
      const other = await t.open(definition)
      assert.deepEqual(await other.receive({ wait: 2_500 }), [], 'its lease is renewed')
      assert.equal(delivery.signal.aborted, false)
      await delivery.ack()
    },
  },
  {
    id: 'L3-settle-closed',
    clauses: ['L3', 'R6'],
    name: 'what was received by hand and not settled returns when its broker closes, and can no longer be settled',
    async run(t) {
      const definition = t.define({ lease: '1s' })
      const queue = await t.open(definition)
      const id = await queue.send({})
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.ok(delivery)
      await t.brokerOf(queue).close({ timeout: 500 })
      const error: unknown = await delivery.ack().then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      assert.ok(
        error instanceof MsgloopError && ['CLOSED', 'LEASE_LOST', 'SETTLED'].includes(error.code),
        `expected ack to fail with CLOSED, LEASE_LOST or SETTLED, saw ${error}`,
      )
      const [again] = await (await t.open(definition)).receive({ wait: '5s' })
      assert.equal(again?.id, id)
      await again?.ack()
    },
  },
]
