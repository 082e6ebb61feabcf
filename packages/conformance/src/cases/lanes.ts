import assert from 'node:assert/strict'
import type { Lane, Queue } from '@msgloop/core'
import { defineQueue, defineTopic, fixed, immediate } from '@msgloop/core'
import type { Case } from '../case.js'
import { refused } from '../expect.js'
import { deferred, pause } from '../wait.js'
import { witness } from '../witness.js'

const LANES: readonly Lane[] = ['high', 'normal', 'low']

/** `each` messages per lane, lowest lane first. */
async function fill(queue: Queue<string>, each: number): Promise<void> {
  for (const priority of [...LANES].reverse())
    for (let n = 0; n < each; n++) await queue.send(`${priority}-${n}`, { priority })
}

const lanesOf = (list: readonly { readonly message: { readonly priority: Lane } }[]): Lane[] =>
  list.map(({ message }) => message.priority)

const inLanes = (each: number): Lane[] => LANES.flatMap((lane) => Array<Lane>(each).fill(lane))

export const laneCases: readonly Case[] = [
  {
    id: 'O3-refused',
    clauses: ['O3', 'S4'],
    name: 'lanes are refused as INVALID with order by key, for a subscription, and for a name too long for them',
    async run(t) {
      const { watch, calls } = witness()
      const broker = await t.broker({ wrap: watch })
      await refused('order', () => defineQueue('q', { lanes: true, order: 'key' }), 'INVALID')
      await refused('a long name', () => defineQueue('q'.repeat(67), { lanes: true }), 'INVALID')
      await refused('no boolean', () => defineQueue('q', { lanes: 'yes' as unknown as boolean }), 'INVALID')
      if (t.capabilities.topics) {
        const options = { lanes: true } as object
        await refused(
          'a subscription',
          () => broker.topic(defineTopic('t')).subscription('s', options),
          'INVALID',
        )
      }
      const queue = broker.queue(t.define({ lanes: true }))
      await refused('a lane', () => queue.send({}, { priority: 'top' as Lane }), 'INVALID', 'rejected')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'O3-highest-first',
    clauses: ['O3'],
    name: 'a free slot takes from the highest lane that has a message',
    async run(t) {
      const queue = await t.queue<string>({ lanes: true })
      await fill(queue, 4)
      const runs = t.consume(queue, undefined, { concurrency: 1 })
      await t.count('handler runs', runs.list, 12)
      assert.deepEqual(lanesOf(runs.list), inLanes(4))
    },
  },
  {
    id: 'O3-overtakes',
    clauses: ['O3'],
    name: 'a message of a higher lane that comes later is handled before those of a lower lane that wait',
    timeoutMs: 30_000,
    async run(t) {
      const queue = await t.queue<string>({ lanes: true })
      const gate = deferred()
      for (let n = 0; n < 10; n++) await queue.send(`normal-${n}`)
      let started = 0
      const runs = t.consume(queue, () => (++started === 1 ? gate.promise : pause(250)), { concurrency: 1 })
      await t.count('handlers started', runs.list, 1)
      await queue.send('high', { priority: 'high' })
      gate.resolve()
      await t.until(
        'the higher lane',
        () => runs.list.findIndex(({ body }) => body === 'high'),
        (at) => at > 0,
      )
      // Where a look takes a second, a lane found empty is not looked into at once again.
      assert.ok(runs.list.length < 10, `high was handled as number ${runs.list.length}`)
    },
  },
  {
    id: 'O3-idle',
    clauses: ['O3', 'R3'],
    name: 'a consumer that waits takes from whichever lane a message comes to',
    timeoutMs: 60_000,
    async run(t) {
      for (const concurrency of [1, 8]) {
        const queue = await t.queue<string>({ lanes: true })
        const runs = t.consume(queue, undefined, { concurrency })
        await runs.consumer.ready
        for (const [n, priority] of (['low', 'high', 'normal', 'low'] as const).entries()) {
          await queue.send(priority, { priority })
          await t.count('handler runs', runs.list, n + 1)
          assert.equal(runs.list[n]?.message.priority, priority)
        }
      }
    },
  },
  {
    id: 'O3-slots',
    clauses: ['O3', 'R2'],
    name: 'no more is fetched from all lanes together than there are free slots',
    skip: ({ lease }) =>
      lease === 'connection' ? 'a broker that pushes fills the slots from each lane' : undefined,
    async run(t) {
      const definition = t.define<string>({ lanes: true })
      const queue = await t.open(definition)
      const gate = deferred()
      await queue.send('first', { priority: 'low' })
      const busy = t.consume(queue, () => gate.promise, { concurrency: 2 })
      await t.count('handlers that hold on', busy.list, 1)
      const priority = 'high'
      await queue.sendBatch(Array.from({ length: 8 }, (_, n) => ({ body: `high-${n}`, priority })))
      await t.count('handlers that hold on', busy.list, 2)
      const others = t.consume(await t.open(definition))
      await t.count('messages of the idle consumer', others.list, 7)
      gate.resolve()
      await busy.consumer.close()
    },
  },
  {
    id: 'O3-receive',
    clauses: ['O3', 'R3'],
    name: '`receive` gives the highest lane first, and waits at all of them',
    async run(t) {
      const queue = await t.queue<string>({ lanes: true })
      await fill(queue, 2)
      const seen: Lane[] = []
      while (seen.length < 6)
        for (const delivery of await queue.receive({ max: 2, wait: '5s' })) {
          seen.push(delivery.priority)
          await delivery.ack()
        }
      assert.deepEqual(seen, inLanes(2))
      const waiting = queue.receive({ wait: '10s' })
      await queue.send('late', { priority: 'low' })
      const [late] = await t.settled('the message', waiting)
      assert.equal(late?.body, 'late')
      await late?.ack()
    },
  },
  {
    id: 'O3-retry',
    clauses: ['O3', 'T5'],
    name: 'a retry stays in its lane',
    async run(t) {
      const queue = await t.queue<string>({ lanes: true, retry: fixed({ attempts: 3, delay: 100 }) })
      const runs = t.consume(queue, (_, { attempt }) => {
        if (attempt < 3) throw new Error('again')
      })
      for (const priority of LANES) await queue.send(priority, { priority })
      await t.count('handler runs', runs.list, 9)
      for (const { body, message } of runs.list) assert.equal(message.priority, body)
      await runs.consumer.close()
      assert.deepEqual(await t.deadNow(queue), [])
    },
  },
  {
    id: 'O3-dead-letters',
    clauses: ['O3', 'D5', 'D6'],
    name: 'all lanes have one dead-letter queue, and a replay brings each entry back into its lane',
    async run(t) {
      const definition = t.define<string>({ lanes: true, retry: immediate({ attempts: 1 }) })
      const queue = await t.open(definition)
      await fill(queue, 1)
      const failing = t.consume(queue, () => {
        throw new Error('no')
      })
      const dead = await t.dead(queue, 3)
      assert.deepEqual(dead.map((entry) => entry.body()).sort(), ['high-0', 'low-0', 'normal-0'])
      await failing.consumer.close()
      const replayed = await queue.deadLetters.replay()
      assert.equal(replayed.replayed, 3)
      const again = t.consume(queue, undefined, { concurrency: 1 })
      await t.count('handler runs', again.list, 3)
      assert.deepEqual(lanesOf(again.list), inLanes(1))
      for (const { body, message } of again.list) {
        assert.equal(body, `${message.priority}-0`)
        assert.equal(message.replays, 1)
      }
    },
  },
  {
    id: 'O3-as-one',
    clauses: ['O3', 'F3', 'D7', 'C2'],
    name: 'counting, purging, verifying and deleting reach every lane',
    async run(t) {
      const definition = t.define<string>({ lanes: true })
      const queue = await t.open(definition)
      const missing = await queue.verify()
      for (const name of [definition.name, `${definition.name}.high`, `${definition.name}.low`])
        assert.ok(
          missing.some(({ object }) => object.includes(`"${name}"`)),
          `${name} is missing and not told: ${JSON.stringify(missing)}`,
        )
      await fill(queue, 2)
      assert.deepEqual(await queue.verify(), [])
      if (t.capabilities.stats.includes('ready'))
        await t.until(
          'all to be counted',
          () => queue.stats(),
          ({ ready }) => ready === 6,
        )
      await queue.purge()
      await t.empty(queue)
      await queue.delete()
      const after = await (await t.open(definition)).verify()
      assert.ok(after.some(({ object }) => object.includes(`"${definition.name}.high"`)))
    },
  },
  {
    id: 'O3-under-change',
    clauses: ['O3', 'L2', 'L6'],
    name: 'consumers of lanes that are paused, resized and closed under load lose, double and count nothing',
    timeoutMs: 60_000,
    async run(t) {
      const definition = t.define<string>({ lanes: true, maxDeliveries: 300 })
      const queue = await t.open(definition)
      const handled: string[] = []
      const attempts = new Set<number>()
      const handler = (body: string, { attempt }: { readonly attempt: number }): void => {
        handled.push(body)
        attempts.add(attempt)
      }
      const first = t.consume(queue, handler, { concurrency: 3 }).consumer
      const filling = fill(queue, 20)
      for (const concurrency of [1, 5, 2]) {
        await t.until(
          'progress',
          () => handled.length,
          (length) => length >= concurrency,
        )
        first.concurrency = concurrency
        await first.pause()
        first.resume()
      }
      await filling
      await first.close()
      t.consume(await t.open(definition), handler)
      await t.until(
        'all to be handled',
        () => handled.length,
        (length) => length >= 60,
      )
      assert.equal(new Set(handled).size, 60)
      assert.deepEqual([...attempts], [1])
      await t.empty(await t.open(definition))
      assert.equal(handled.length, 60)
    },
  },
]
