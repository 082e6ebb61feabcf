import assert from 'node:assert/strict'
import { fixed, immediate } from '@msgloop/core'
import type { Case } from '../case.js'
import { deferred } from '../wait.js'

/** Consumers that are closed, paused, resized or redefined while they work. */
export const underChangeCases: readonly Case[] = [
  {
    id: 'L2-acks-hold',
    clauses: ['L2', 'R1'],
    name: 'what was acked before a close stays acked, though the oldest message ended last',
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      const oldest = deferred()
      let handled = 0
      const runs = t.consume(
        queue,
        async (n) => {
          if (n === 0) await oldest.promise
          if (++handled === 119) oldest.resolve()
        },
        { concurrency: 120 },
      )
      await queue.sendBatch(Array.from({ length: 120 }, (_, n) => ({ body: n })))
      await t.count('handler runs', runs.list, 120)
      await runs.consumer.close()
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
