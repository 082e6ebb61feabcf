import assert from 'node:assert/strict'
import type { Case } from '../case.js'
import { between, refused, sameMembers } from '../expect.js'
import { deferred, pause } from '../wait.js'
import { needsRenewable } from './needs.js'

export const receiveCases: readonly Case[] = [
  {
    id: 'R1-compete',
    clauses: ['R1'],
    name: 'consumers of one queue compete: each message goes to exactly one of them',
    async run(t) {
      const definition = t.define<number>()
      const sending = await t.open(definition)
      const consumers = await Promise.all(
        [1, 2, 3].map(async () => t.consume(await t.open(definition), () => pause(1))),
      )
      const count = 300
      const ids = await Promise.all(Array.from({ length: count }, (_, n) => sending.send(n)))
      const all = (): string[] => consumers.flatMap((runs) => runs.ids())
      await t.until(
        'all messages',
        () => all().length,
        (length) => length >= count,
      )
      await t.empty(sending)
      sameMembers('messages handled', all(), ids)
    },
  },
  {
    id: 'R1-isolation',
    clauses: ['R1'],
    name: 'twenty queues used at once do not see the messages of each other',
    async run(t) {
      const broker = await t.broker()
      const queues = Array.from({ length: 20 }, () => broker.queue(t.define<string>()))
      const runs = queues.map((queue) => t.consume(queue))
      await Promise.all(queues.flatMap((queue) => Array.from({ length: 10 }, () => queue.send(queue.name))))
      for (const [n, queue] of queues.entries()) {
        const seen = runs[n]
        assert.ok(seen)
        await t.count(`messages of queue ${n}`, seen.list, 10)
        for (const run of seen.list) assert.equal(run.body, queue.name)
      }
      for (const seen of runs) assert.equal(seen.list.length, 10)
    },
  },
  {
    id: 'R2-concurrency',
    clauses: ['R2'],
    name: 'at most `concurrency` handlers run at once, and that many do when there is work',
    async run(t) {
      const queue = await t.queue<number>()
      const gate = deferred()
      const runs = t.consume(queue, () => gate.promise, { concurrency: 3 })
      await queue.sendBatch(Array.from({ length: 12 }, (_, body) => ({ body })))
      await t.count('handlers started', runs.list, 3)
      await pause(150)
      assert.equal(runs.list.length, 3, 'no fourth handler starts while three run')
      assert.equal(runs.consumer.running, 3)
      gate.resolve()
      await t.count('handlers started', runs.list, 12)
      assert.equal(runs.most(), 3)
    },
  },
  {
    id: 'R2-one-by-one',
    clauses: ['R2'],
    name: 'with concurrency 1 no message is handed over before the one before it has been settled',
    async run(t) {
      const queue = await t.queue<number>()
      await queue.sendBatch(Array.from({ length: 10 }, (_, body) => ({ body })))
      const runs = t.consume(queue, () => pause(5), { concurrency: 1 })
      await t.count('handlers started', runs.list, 10)
      assert.equal(runs.most(), 1)
      runs.list.slice(1).forEach((run, index) => {
        const before = runs.list[index]?.endedAt
        assert.ok(
          before !== undefined && before <= run.startedAt,
          'each handler starts after the one before it ended',
        )
      })
    },
  },
  {
    id: 'R2-no-hoarding',
    clauses: ['R2'],
    name: 'a busy consumer takes no more than its free slots: what is left goes to an idle one',
    async run(t) {
      const definition = t.define<number>()
      const gate = deferred()
      const busy = t.consume(await t.open(definition), () => gate.promise, { concurrency: 2 })
      const sending = await t.open(definition)
      await sending.sendBatch(Array.from({ length: 2 }, (_, body) => ({ body })))
      await t.count('messages with the busy consumer', busy.list, 2)
      await sending.sendBatch(Array.from({ length: 20 }, (_, body) => ({ body })))
      const idle = t.consume(await t.open(definition))
      await t.count('messages with the idle consumer', idle.list, 20)
      assert.equal(busy.list.length, 2)
      gate.resolve()
    },
  },
  {
    id: 'R2-backlog',
    clauses: ['R2'],
    name: 'a consumer that finds a backlog takes its free slots plus prefetch of it, and no more',
    async run(t) {
      const definition = t.define<number>()
      const sending = await t.open(definition)
      await sending.sendBatch(Array.from({ length: 20 }, (_, body) => ({ body })))
      const gate = deferred()
      const busy = t.consume(await t.open(definition), () => gate.promise, { concurrency: 2, prefetch: 3 })
      await t.count('messages with the busy consumer', busy.list, 2)
      const idle = t.consume(await t.open(definition))
      await t.count('messages with the idle consumer', idle.list, 15)
      gate.resolve()
      await t.until(
        'the rest',
        () => idle.list.length + busy.list.length,
        (count) => count >= 20,
      )
      await t.empty(sending)
      sameMembers('ids', [...idle.ids(), ...busy.ids()], [...new Set([...idle.ids(), ...busy.ids()])])
    },
  },
  {
    id: 'R3-prompt',
    clauses: ['R3'],
    name: 'receive returns as soon as one message is there, without waiting for company',
    async run(t) {
      const queue = await t.queue()
      const waiting = queue.receive({ max: 10, wait: '15s' })
      const begun = Date.now()
      await queue.send('only')
      const received = await t.settled('the receive to return', waiting)
      assert.equal(received.length, 1)
      between('ms until it returned', Date.now() - begun, 0, 7_000)
    },
  },
  {
    id: 'R3-empty',
    clauses: ['R3'],
    name: 'receive of an empty queue returns [] after its wait, and at once without one',
    async run(t) {
      const queue = await t.queue()
      await queue.receive()
      const begun = Date.now()
      assert.deepEqual(await queue.receive({ max: 5 }), [])
      const between_ = Date.now()
      assert.deepEqual(await queue.receive({ max: 5, wait: 300 }), [])
      between('ms of a receive without wait', between_ - begun, 0, 2_000)
      between('ms of a receive with wait 300', Date.now() - between_, 290, 3_000)
    },
  },
  {
    id: 'R3-max',
    clauses: ['R3', 'C1'],
    name: 'receive returns at most `max` messages, also beyond the native batch, and each message once',
    async run(t) {
      const queue = await t.queue<number>()
      const ids = (await queue.sendBatch(Array.from({ length: 30 }, (_, body) => ({ body })))).map(
        ({ id }) => id,
      )
      const seen: (string | undefined)[] = []
      while (seen.length < 30) {
        const batch = await queue.receive({ max: 7, wait: '5s' })
        between('messages of one receive', batch.length, 1, 7)
        seen.push(...batch.map(({ id }) => id))
        await Promise.all(batch.map((delivery) => delivery.ack()))
      }
      sameMembers('messages received', seen, ids)
    },
  },
  {
    id: 'R3-abort',
    clauses: ['R3', 'R1'],
    name: 'aborting a receive ends it with [], and never loses a message that was on its way',
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      const sending = await t.open(definition)
      await queue.receive()
      const begun = Date.now()
      const controller = new AbortController()
      const waiting = queue.receive({ wait: '15s', signal: controller.signal })
      // Aborted once it is waiting for the broker, not while it is still opening.
      await pause(200)
      controller.abort()
      assert.deepEqual(await t.settled('the aborted receive to end', waiting), [])
      between('ms until the aborted receive ended', Date.now() - begun, 0, 5_000)
      const seen = new Map<string, number>()
      const take = async (signal?: AbortSignal): Promise<number> => {
        const batch = await queue.receive({ max: 5, wait: 100, ...(signal && { signal }) })
        for (const { id } of batch) seen.set(id, (seen.get(id) ?? 0) + 1)
        await Promise.all(batch.map((delivery) => delivery.ack()))
        return batch.length
      }
      const count = 60
      for (let n = 0; n < count; n++) {
        const racing = new AbortController()
        const receiving = take(racing.signal)
        const sent = sending.send(n, { id: `m${n}` })
        if (n % 3 === 0) racing.abort()
        else void pause(t.random() * 4).then(() => racing.abort())
        await Promise.all([receiving, sent])
      }
      await t.until(
        'every message',
        () => take().then(() => seen.size),
        (size) => size === count,
      )
      const twice = [...seen].filter(([, times]) => times > 1)
      assert.deepEqual(twice, [], 'no message came twice')
    },
  },
  {
    id: 'R4-before',
    clauses: ['R4'],
    name: 'messages sent before any consumer existed are delivered',
    async run(t) {
      const definition = t.define<number>()
      const sending = await t.open(definition)
      const ids = await Promise.all([1, 2, 3].map((n) => sending.send(n)))
      await t.brokerOf(sending).close()
      const runs = t.consume(await t.open(definition))
      await t.count('messages', runs.list, 3)
      sameMembers('messages received', runs.ids(), ids)
    },
  },
  {
    id: 'R1-deliveries',
    clauses: ['R1', 'R6'],
    name: 'the first hand-over of a message is attempt 1 and delivery 1',
    async run(t) {
      const queue = await t.queue()
      const runs = t.consume(queue)
      await queue.send({})
      await t.count('messages', runs.list, 1)
      assert.equal(runs.list[0]?.attempt, 1)
      assert.equal(runs.list[0]?.deliveries, 1)
    },
  },
  {
    id: 'C1-extend-refused',
    clauses: ['C1', 'R5'],
    name: 'where a lease lasts as long as the connection, extending it is refused',
    skip: ({ lease }) =>
      lease === 'connection' ? undefined : 'leases can be renewed here; R5-extend proves it',
    async run(t) {
      const queue = await t.queue()
      await queue.send({})
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.ok(delivery)
      await refused('extend', () => delivery.extend('1s'), 'UNSUPPORTED')
      await delivery.ack()
    },
  },
  {
    id: 'R5-extend',
    clauses: ['R5', 'C1'],
    name: 'extending a lease keeps a message past its end',
    skip: needsRenewable,
    async run(t) {
      const definition = t.define({ lease: '1s' })
      const queue = await t.open(definition)
      await queue.send({})
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.ok(delivery)
      await delivery.extend('3s')
      const other = await t.open(definition)
      assert.deepEqual(await other.receive({ wait: 1_800 }), [])
      await delivery.ack()
      await t.empty(other, 1_500)
    },
  },
]
