import assert from 'node:assert/strict'
import { fixed, immediate } from '@msgloop/core'
import type { Receiver } from '@msgloop/core/driver'
import type { Case } from '../case.js'
import { decorate } from '../decorate.js'
import { deferred, pause } from '../wait.js'
import { needsConnectionLease } from './needs.js'

/** Consumers that are closed, paused, resized or redefined while they work. */
export const underChangeCases: readonly Case[] = [
  {
    id: 'L2-acks-hold',
    clauses: ['L2', 'R1'],
    name: 'what was acked just before a close stays acked, however much it was and though the oldest message ended last',
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      const count = 200
      const others = deferred()
      const oldest = deferred()
      let ended = 0
      const runs = t.consume(
        queue,
        async (_, message) => {
          if (message.id === runs.ids()[0]) return await oldest.promise
          await others.promise
          // Acked apart from the others: those are answers of their own, and no run.
          if (++ended === count - 1) setImmediate(oldest.resolve)
        },
        { concurrency: count },
      )
      await queue.sendBatch(Array.from({ length: count }, (_, n) => ({ body: n })))
      await t.count('handler runs', runs.list, count)
      // Fetching is over, so that the last ack is all that closing waits for.
      await runs.consumer.pause()
      const closing = runs.consumer.close()
      others.resolve()
      await closing
      await t.empty(await t.open(definition), 700)
    },
  },
  {
    id: 'R2-resized',
    clauses: ['R2', 'L6'],
    name: 'a consumer that is resized or resumed fetches nothing for slots that old handlers still hold',
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      const held = deferred()
      const runs = t.consume(queue, () => held.promise, { concurrency: 2 })
      await queue.send(1)
      await queue.send(2)
      await t.count('handlers that hold on', runs.list, 2)
      runs.consumer.concurrency = 3
      await runs.consumer.pause()
      runs.consumer.resume()
      runs.consumer.concurrency = 2
      const others = t.consume(await t.open(definition), undefined, { concurrency: 2 })
      await queue.send(3)
      await queue.send(4)
      await t.count('messages of the idle consumer', others.list, 2)
      held.resolve()
      await runs.consumer.close()
    },
  },
  {
    id: 'L5-starved',
    clauses: ['L5'],
    name: 'a consumer that the broker hands nothing to, though messages wait, consumes afresh by itself',
    skip: needsConnectionLease,
    async run(t) {
      const definition = t.define<string>()
      let opened = 0
      const queue = await t.open(definition, {
        wrap: (driver) =>
          decorate(driver, {
            // As RabbitMQ 3.10 may do when a queue is deleted and declared again under its consumer: what
            // the broker hands to the first one never arrives.
            receiver: (inner) => (opened++ === 0 ? swallow(inner) : {}),
          }),
      })
      const runs = t.consume(queue, undefined, { concurrency: 1 })
      await runs.consumer.ready
      await queue.sendBatch([{ body: 'a' }, { body: 'b' }, { body: 'c' }])
      await t.count('messages', runs.list, 3)
      assert.equal(opened, 2)
      assert.deepEqual(runs.troubles, [])
    },
  },
  {
    id: 'L6-pause-twice',
    clauses: ['L6', 'L2'],
    name: 'pausing what is paused, or closing meanwhile, resolves',
    async run(t) {
      const queue = await t.queue<number>()
      const { consumer } = t.consume(queue)
      await consumer.ready
      await consumer.pause()
      await consumer.pause()
      const again = consumer.pause()
      await consumer.close()
      await again
      assert.equal(consumer.state, 'closed')
    },
  },
  {
    id: 'C2-redefined',
    clauses: ['C2', 'R9'],
    name: 'a queue is not drifted because its retry policy changed',
    async run(t) {
      const before = t.define<number>({ retry: immediate({ attempts: 2 }) })
      await (await t.open(before)).send(1)
      const after = {
        ...t.define<number>({ retry: fixed({ attempts: 40, delay: 100 }), maxDeliveries: 300 }),
        ...named(before),
      }
      const queue = await t.open(after)
      assert.deepEqual(await queue.verify(), [])
      const [delivery] = await queue.receive({ wait: '5s' })
      await delivery?.ack()
    },
  },
]

const named = ({
  name,
  deadLetter,
}: {
  name: string
  deadLetter: string
}): { name: string; deadLetter: string } => ({
  name,
  deadLetter,
})

/** Takes what the broker hands over, and keeps it. */
function swallow(inner: Receiver): Partial<Receiver> {
  return {
    async receive(max, waitMs, signal) {
      const until = Date.now() + waitMs
      await inner.receive(max, waitMs, signal)
      while (Date.now() < until && !signal.aborted) await pause(20)
      return []
    },
  }
}
