import assert from 'node:assert/strict'
import { fixed } from '@msgloop/core'
import type { Receiver } from '@msgloop/core/driver'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { heldQueue } from '../hold-message.js'
import type { Numbered } from '../key-log.js'
import { KeyLog, keysApart, keysNamed, sendNumbered } from '../key-log.js'
import { deferred, pause } from '../wait.js'
import { all, needsDisconnect, needsOrderByKey, needsOutage, needsProcess, needsRenewable } from './needs.js'

const LEASE_MS = 1_000

/** Takes what it is given of an ordered queue and settles nothing, as a process that hangs. */
async function hang(t: CaseContext, spec: Awaited<ReturnType<CaseContext['declare']>>): Promise<Receiver> {
  const driver = await t.driver()
  const options = { prefetch: 2, leaseMs: LEASE_MS, consumer: 'hanging', onLost: () => {} }
  const receiver = await driver.openReceiver(spec, options, t.signal)
  const batch = await t.until(
    'a delivery to hold',
    () => receiver.receive(2, 1_000, t.signal),
    ({ length }) => length > 0,
  )
  assert.equal(batch[0]?.deliveries, 1)
  return receiver
}

const numbers = (runs: { list: readonly { body: Numbered }[] }, key = 'a'): number[] =>
  runs.list.filter(({ body }) => body.key === key).map(({ body }) => body.n)

/** Order by key while consumers come, go and are cut off. */
export const orderUnderChangeCases: readonly Case[] = [
  {
    id: 'O2-let-go',
    clauses: ['O2', 'R6'],
    name: 'what a client lets go of unsettled comes again in its turn',
    skip: needsOrderByKey,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', lease: LEASE_MS })
      const receiver = await hang(t, await sent(t, definition, 4))
      await receiver.close()
      const runs = t.consume(await t.open(definition))
      await t.count('handler runs', runs.list, 4)
      assert.deepEqual(numbers(runs), [0, 1, 2, 3])
    },
  },
  {
    id: 'O2-lease-over',
    clauses: ['O2', 'R6'],
    name: 'while one holds a message of a key nobody else is given more of it, and when its lease is over it comes again first',
    skip: all(needsOrderByKey, needsRenewable),
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', lease: LEASE_MS })
      const heldAt = Date.now()
      const receiver = await hang(t, await sent(t, definition, 4))
      const runs = t.consume(await t.open(definition))
      await t.count('handler runs', runs.list, 4)
      assert.deepEqual(numbers(runs), [0, 1, 2, 3])
      assert.ok((runs.list[0]?.startedAt ?? 0) >= heldAt + LEASE_MS - 50, 'not before the lease was over')
      await receiver.close()
    },
  },
  {
    id: 'O2-kill',
    clauses: ['O2', 'R6'],
    name: 'when the process that runs the first message of a key is killed, that message comes again before the others',
    skip: all(needsOrderByKey, needsProcess),
    timeoutMs: 30_000,
    async run(t) {
      const definition = heldQueue(t.name('ordered'))
      const queue = await t.open<Numbered>({ ...definition, schema: undefined })
      await sendNumbered(queue, ['a'], 3)
      const held = await t.harness.spawnConsumer?.(definition.name)
      assert.ok(held)
      try {
        await t.settled('the process to hold a message', held.started)
        const log = new KeyLog()
        const runs = t.consume(queue, log.handler())
        await sendNumbered(queue, ['b'], 1)
        await held.kill()
        await t.count('handler runs', runs.list, 4)
        assert.deepEqual(numbers(runs), [0, 1, 2])
        assert.equal(runs.list.find(({ body }) => body.key === 'a')?.deliveries, 2)
        log.assertInOrder()
      } finally {
        await held.kill()
      }
    },
  },
  {
    id: 'O2-cut',
    clauses: ['O2', 'R7'],
    name: 'when the network of a worker is cut, another goes on with its keys, each from the message that was running',
    skip: all(needsOrderByKey, needsOutage),
    timeoutMs: 30_000,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', lease: LEASE_MS })
      const queue = await t.open(definition)
      await sendNumbered(queue, ['a', 'b'], 4)
      const gate = deferred()
      const cutOff = t.consume(queue, () => gate.promise)
      await t.count('handlers started', cutOff.list, 1)
      const restore = await t.outage(t.brokerOf(queue))
      const other = t.consume(await t.open(definition))
      await t.count('handler runs', other.list, 8)
      assert.deepEqual(numbers(other, 'a'), [0, 1, 2, 3])
      assert.deepEqual(numbers(other, 'b'), [0, 1, 2, 3])
      gate.resolve()
      await restore()
      await cutOff.consumer.close({ timeout: 1_000 })
      await t.empty(await t.open(definition), 500)
      assert.ok(numbers(cutOff).every((n) => n === 0) && numbers(cutOff, 'b').every((n) => n === 0))
    },
  },
  {
    id: 'O2-cut-often',
    clauses: ['O2', 'L4'],
    name: 'a worker whose connection is cut again and again starts no message before the one before it is done',
    skip: all(needsOrderByKey, needsDisconnect),
    timeoutMs: 60_000,
    async run(t) {
      const definition = t.define<Numbered>({
        order: 'key',
        lease: LEASE_MS,
        maxDeliveries: 200,
        retry: fixed({ attempts: 50, delay: 100 }),
      })
      const log = new KeyLog()
      const workers = [await t.open(definition), await t.open(definition)]
      for (const queue of workers)
        t.consume(
          queue,
          log.handler(() => pause(3)),
          { concurrency: 4 },
        )
      const sending = await t.open(definition)
      await sendNumbered(sending, keysNamed(8), 30)
      for (let cut = 1; cut <= 4; cut++) {
        await t.until(
          'some to be done',
          () => log.completed,
          (completed) => completed >= cut * 40,
        )
        const worker = workers[cut % 2]
        if (worker) await t.disconnect(t.brokerOf(worker))
      }
      await t.until(
        'all to be done',
        () => log.completed,
        (completed) => completed === 240,
      )
      assert.deepEqual(log.reordered, [])
    },
  },
  {
    id: 'O2-resized',
    clauses: ['O2', 'L6', 'L2'],
    name: 'workers that are paused, resumed, resized and replaced keep the order of each key',
    skip: needsOrderByKey,
    timeoutMs: 60_000,
    async run(t) {
      const definition = t.define<Numbered>({
        order: 'key',
        maxDeliveries: 300,
        retry: fixed({ attempts: 40, delay: 100 }),
      })
      const log = new KeyLog()
      const handler = log.handler(async ({ n }, nth) => {
        await pause(t.random() * 3)
        if (n % 9 === 4 && nth === 1) throw new Error('again')
      })
      const sending = await t.open(definition)
      const first = t.consume(await t.open(definition), handler, { concurrency: 4 }).consumer
      t.consume(await t.open(definition), handler, { concurrency: 2, prefetch: 3 })
      await sendNumbered(sending, keysNamed(10), 30)
      const reached = async (count: number): Promise<void> => {
        await t.until(
          `${count} to be done`,
          () => log.completed,
          (completed) => completed >= count || log.faults.length > 0,
        )
        log.assertInOrder()
      }
      await reached(30)
      first.concurrency = 1
      await reached(60)
      first.concurrency = 8
      await reached(90)
      await first.pause()
      await reached(120)
      first.resume()
      await reached(150)
      await first.close()
      t.consume(await t.open(definition), handler)
      await reached(300)
      log.assertInOrder()
    },
  },
  {
    id: 'O2-pause-keeps',
    clauses: ['O2', 'L6'],
    name: 'while a paused worker still runs a message, nobody else is given one of its key',
    skip: needsOrderByKey,
    timeoutMs: 30_000,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key' })
      const queue = await t.open(definition)
      await sendNumbered(queue, ['a'], 3)
      const gate = deferred()
      const log = new KeyLog()
      const first = t.consume(
        queue,
        log.handler(() => gate.promise),
      )
      await t.count('handlers started', first.list, 1)
      await first.consumer.pause()
      const second = t.consume(await t.open(definition), log.handler())
      await sendNumbered(queue, keysApart(1, 'a'), 1)
      await t.count('messages of another key', second.list, 1)
      await pause(300)
      assert.deepEqual(numbers(second), [])
      gate.resolve()
      await t.count('handler runs', second.list, 3)
      assert.deepEqual(numbers(second), [1, 2])
      log.assertInOrder()
    },
  },
  {
    id: 'O2-pause-in-retry',
    clauses: ['O2', 'L6', 'T3'],
    name: 'a key whose message waits for its retry while its consumer is paused, or closed, goes on with that message',
    skip: needsOrderByKey,
    timeoutMs: 30_000,
    async run(t) {
      const definition = t.define<Numbered>({ order: 'key', retry: fixed({ attempts: 3, delay: '1s' }) })
      const queue = await t.open(definition)
      await sendNumbered(queue, ['a'], 3)
      const runs = t.consume(queue, ({ n }, _, nth) => {
        if (n === 0 && nth <= 2) throw new Error('wait')
      })
      await t.count('failed runs', runs.list, 1)
      await runs.consumer.pause()
      runs.consumer.resume()
      await t.count('failed runs', runs.list, 2)
      assert.deepEqual(numbers(runs), [0, 0])
      assert.deepEqual(
        runs.list.map(({ attempt }) => attempt),
        [1, 2],
      )
      await runs.consumer.close()
      const next = t.consume(await t.open(definition))
      await t.count('handler runs', next.list, 3)
      assert.deepEqual(numbers(next), [0, 1, 2])
    },
  },
  {
    id: 'O2-signal',
    clauses: ['O2', 'L7'],
    name: 'after a handler timed out the retry has a signal of its own',
    skip: needsOrderByKey,
    async run(t) {
      const queue = await t.queue<number>({ order: 'key', retry: fixed({ attempts: 2, delay: 100 }) })
      await queue.send(0, { key: 'a' })
      const aborted: boolean[] = []
      const runs = t.consume(
        queue,
        (_, { signal }, nth) => {
          aborted.push(signal.aborted)
          return nth === 1 ? new Promise(() => {}) : undefined
        },
        { handlerTimeout: 200 },
      )
      await t.count('handler runs', runs.list, 2)
      assert.deepEqual(aborted, [false, false])
    },
  },
]

/** A queue that holds `count` messages of key `a`. */
async function sent(
  t: CaseContext,
  definition: ReturnType<typeof t.define<Numbered>>,
  count: number,
): Promise<Awaited<ReturnType<CaseContext['declare']>>> {
  const spec = await t.declare(definition)
  await sendNumbered(await t.open(definition), ['a'], count)
  return spec
}
