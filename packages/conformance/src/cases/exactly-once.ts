import assert from 'node:assert/strict'
import { memoryInbox, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import { OnceRuns } from '../exactly-once-runs.js'
import { refused, wrong } from '../expect.js'
import { deferred, pause } from '../wait.js'
import { witness } from '../witness.js'
import { needsInbox, needsInboxTransaction } from './needs.js'

export const exactlyOnceCases: readonly Case[] = [
  {
    id: 'X3-refused',
    clauses: ['X3', 'S4'],
    name: 'exactly-once without an inbox, and an inbox without exactly-once, are refused before any I/O',
    async run(t) {
      const { watch, calls } = witness()
      const broker = await t.broker({ wrap: watch })
      const once = broker.queue(t.define({ guarantee: 'exactly-once' }))
      const plain = broker.queue(t.define())
      await refused('no inbox', () => once.consume(() => {}), 'INVALID')
      await refused('no inbox at all', () => once.consume(() => {}, { inbox: wrong({ run: 1 }) }), 'INVALID')
      await refused('an inbox too many', () => plain.consume(() => {}, { inbox: memoryInbox() }), 'INVALID')
      await refused('settling by hand', () => once.receive(), 'UNSUPPORTED')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'X3-commit',
    clauses: ['X3'],
    name: 'a handler that returns has its effect stored, once, and its message acked',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t)
      await runs.consume()
      const id = await runs.queue.send({})
      assert.deepEqual(await runs.ended(1), ['acked'])
      assert.equal(await runs.effects(id), 1)
    },
  },
  {
    id: 'X3-rollback',
    clauses: ['X3', 'T1'],
    name: 'a handler that throws has its effect taken back, and is tried again by the policy',
    skip: needsInboxTransaction,
    async run(t) {
      const runs = await OnceRuns.open(t)
      await runs.consume(async (_message, nth, effect) => {
        await effect()
        if (nth < 3) throw new Error('not yet')
      })
      const id = await runs.queue.send({})
      assert.deepEqual(await runs.ended(1), ['acked'])
      assert.deepEqual(runs.attempts, [1, 2, 3])
      assert.equal(await runs.effects(id), 1)
    },
  },
  {
    id: 'X3-failed-is-no-duplicate',
    clauses: ['X3'],
    name: 'the redelivery of a failed attempt is handled, not taken for a duplicate',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t)
      await runs.consume(async (_message, nth, effect) => {
        if (nth < 3) throw new Error('before any effect')
        await effect()
      })
      const id = await runs.queue.send({})
      assert.deepEqual(await runs.ended(1), ['acked'])
      assert.deepEqual(runs.attempts, [1, 2, 3])
      assert.equal(await runs.effects(id), 1)
    },
  },
  {
    id: 'X3-duplicate',
    clauses: ['X3'],
    name: 'a second delivery of a handled message is acked without running the handler, by any process',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t)
      await runs.consume()
      await runs.queue.send({}, { id: 'one' })
      await runs.ended(1)
      await runs.consume()
      for (let again = 0; again < 4; again++) await runs.queue.send({}, { id: 'one' })
      assert.deepEqual(await runs.ended(5), Array(5).fill('acked'))
      assert.deepEqual(runs.started, ['one'])
      assert.equal(await runs.effects('one'), 1)
    },
  },
  {
    id: 'X3-never-beside',
    clauses: ['X3'],
    name: 'a second delivery that arrives while the first is running never runs beside it, and is acked after it',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t)
      const go = deferred()
      const handler = async (_message: unknown, _nth: number, effect: () => Promise<void>): Promise<void> => {
        await go.promise
        await effect()
      }
      await runs.consume(handler)
      await runs.consume(handler)
      await runs.queue.send({}, { id: 'one' })
      await runs.queue.send({}, { id: 'one' })
      await t.count('handlers started', runs.started, 1)
      await pause(500)
      assert.deepEqual(runs.started, ['one'], 'the second waits')
      go.resolve()
      assert.deepEqual(await runs.ended(2), ['acked', 'acked'])
      assert.equal(runs.mostBeside, 1)
      assert.deepEqual(runs.attempts, [1])
      assert.equal(await runs.effects('one'), 1)
    },
  },
  {
    id: 'X3-takes-over',
    clauses: ['X3'],
    name: 'when the first of two deliveries fails, the message is handled all the same, once',
    skip: needsInboxTransaction,
    async run(t) {
      const runs = await OnceRuns.open(t)
      const fail = deferred()
      await runs.consume(async (_message, nth, effect) => {
        await effect()
        if (nth > 1) return
        await fail.promise
        throw new Error('the first fails')
      })
      await runs.queue.send({}, { id: 'one' })
      await t.count('handlers started', runs.started, 1)
      await runs.queue.send({}, { id: 'one' })
      await pause(200)
      fail.resolve()
      assert.deepEqual(await runs.ended(2), ['acked', 'acked'])
      assert.equal(runs.mostBeside, 1)
      assert.equal(runs.started.length, 2)
      assert.equal(await runs.effects('one'), 1)
    },
  },
  {
    id: 'X3-dead-letter',
    clauses: ['X3', 'D1', 'D6'],
    name: 'what is dead-lettered was not handled; replayed, it is handled, once',
    skip: needsInboxTransaction,
    async run(t) {
      const runs = await OnceRuns.open(t)
      let broken = true
      await runs.consume(async (message, _nth, effect) => {
        await effect()
        if (!broken) return
        if (message.id === 'never') throw new Reject('of no use')
        throw new Error('broken')
      })
      await runs.queue.send({}, { id: 'tried' })
      await runs.queue.send({}, { id: 'never' })
      assert.deepEqual((await runs.ended(2)).sort(), ['dead-lettered', 'rejected'])
      await t.dead(runs.queue, 2)
      for (const id of ['tried', 'never']) assert.equal(await runs.effects(id), 0)
      broken = false
      assert.equal((await runs.queue.deadLetters.replay()).replayed, 2)
      await runs.ended(4)
      for (const id of ['tried', 'never']) assert.equal(await runs.effects(id), 1)
    },
  },
  {
    id: 'X3-queues-apart',
    clauses: ['X3'],
    name: 'one id on two queues is two messages, though both queues share an inbox',
    skip: needsInbox,
    async run(t) {
      const [one, two] = [await OnceRuns.open(t), await OnceRuns.open(t)]
      const shared = await one.inbox()
      await one.consumeBy(shared)
      await two.consumeBy(shared)
      await one.queue.send({}, { id: 'same' })
      await two.queue.send({}, { id: 'same' })
      await one.ended(1)
      await two.ended(1)
      assert.deepEqual([await one.effects('same'), await two.effects('same')], [1, 1])
    },
  },
  {
    id: 'X3-inboxes-apart',
    clauses: ['X3'],
    name: 'inboxes of two names know nothing of each other, though they watch queues of one name',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t)
      const mark = { queue: runs.queue.name, id: 'same' }
      const [one, two] = [await runs.inbox(), await runs.inbox(`${runs.queue.name}-2`)]
      await Promise.all([one.check(), two.check()])
      assert.equal(await one.run(mark, async () => {}, t.signal), 'committed')
      assert.equal(await two.find(mark, t.signal), 'unmarked')
      assert.equal(await two.run(mark, async () => {}, t.signal), 'committed')
      assert.equal(await one.run(mark, async () => {}, t.signal), 'duplicate')
    },
  },
]
