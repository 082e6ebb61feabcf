import assert from 'node:assert/strict'
import { defineQueue } from '@msgloop/core'
import type { Case } from '../case.js'
import { decorate } from '../decorate.js'
import { between, refused } from '../expect.js'
import { deferred } from '../wait.js'
import { witness } from '../witness.js'
import { needsDrifted } from './needs.js'

export const topologyCases: readonly Case[] = [
  {
    id: 'C2-declare-at-once',
    clauses: ['C2'],
    name: 'many clients declaring the same queue at once all succeed, and declaring again changes nothing',
    async run(t) {
      const definition = t.define<number>()
      const queues = await Promise.all(Array.from({ length: 8 }, () => t.open(definition)))
      await Promise.all(queues.map((queue, n) => queue.send(n)))
      const late = await t.open(definition)
      await late.send(8)
      const runs = t.consume(late)
      await t.count('messages', runs.list, 9)
      await t.empty(late)
      assert.deepEqual(await late.verify(), [])
      const spec = await t.declare(definition)
      const driver = await t.driver()
      for (let time = 0; time < 3; time++) await driver.admin.declare(spec, t.signal)
    },
  },
  {
    id: 'C2-shared-declare',
    clauses: ['C2', 'L2', 'R3'],
    name: 'a caller that gives up while a queue is being declared takes nobody along who waits for the same',
    async run(t) {
      for (const giveUp of ['receive', 'consumer'] as const) {
        const declaring = deferred()
        const gate = deferred()
        const queue = await t.queue<number>(
          {},
          {
            wrap: (driver) =>
              decorate(driver, {
                admin: (inner) => ({
                  async declare(topology, signal) {
                    declaring.resolve()
                    const aborted = new Promise((_, reject) => {
                      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
                    })
                    await Promise.race([gate.promise, aborted])
                    await inner.declare(topology, signal)
                  },
                }),
              }),
          },
        )
        const controller = new AbortController()
        const first =
          giveUp === 'receive'
            ? queue.receive({ wait: '10s', signal: controller.signal })
            : t.consume(queue).consumer
        await t.settled('the queue to be declared', declaring.promise)
        const sent = queue.send(1)
        const second = queue.receive({ wait: '10s' })
        // Failing early is noticed below.
        second.catch(() => {})
        const begun = Date.now()
        controller.abort()
        if (first instanceof Promise)
          assert.deepEqual(await t.settled('the aborted receive to end', first), [])
        else await t.settled('the consumer to close', first.close())
        between('ms until it had given up', Date.now() - begun, 0, 5_000)
        gate.resolve()
        await t.settled('the send', sent)
        const [delivery] = await t.settled('the other receive', second)
        assert.equal(delivery?.body, 1)
        await delivery?.ack()
      }
    },
  },
  {
    id: 'C2-verify-missing',
    clauses: ['C2'],
    name: 'verifying a queue that is missing says so, and writes nothing',
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition, { topology: 'verify' })
      for (let time = 0; time < 2; time++) {
        const drifts = await queue.verify()
        const missing = drifts.filter(({ field }) => field === undefined)
        assert.ok(missing.length > 0, 'the missing queue is reported')
        assert.ok(
          missing.some(({ object }) => object.includes(definition.name)),
          `a drift names the queue, saw ${JSON.stringify(missing)}`,
        )
      }
      const none = await t.open(definition, { topology: 'none' })
      await refused('a send to it', () => none.send({}), 'NOT_FOUND', 'rejected')
    },
  },
  {
    id: 'C2-verify-mode',
    clauses: ['C2', 'L5'],
    name: "with topology 'verify' a missing queue is refused and not made, and an existing one works",
    async run(t) {
      const definition = t.define({ sendTimeout: '5s' })
      const { watch, calls } = witness()
      const early = await t.open(definition, { topology: 'verify', wrap: watch })
      await refused('a send', () => early.send({}), 'NOT_FOUND', 'rejected')
      await refused('a receive', () => early.receive(), 'NOT_FOUND')
      const none = await t.open(definition, { topology: 'none' })
      await refused('a send after it was verified twice', () => none.send({}), 'NOT_FOUND', 'rejected')
      assert.ok(!calls.includes('declare'), 'it declares nothing')
      await t.declare(definition)
      const queue = await t.open(definition, { topology: 'verify', wrap: watch })
      const id = await queue.send({})
      const runs = t.consume(queue)
      await t.count('messages', runs.list, 1)
      assert.equal(runs.list[0]?.id, id)
      assert.ok(!calls.includes('declare'), 'it declares nothing')
    },
  },
  {
    id: 'C2-none-mode',
    clauses: ['C2'],
    name: "with topology 'none' an existing queue is taken as it is, dead letters included, and nothing is declared or verified",
    async run(t) {
      const definition = t.define()
      await t.declare(definition)
      const { watch, calls } = witness()
      const queue = await t.open(definition, { topology: 'none', wrap: watch })
      const runs = t.consume(queue, () => Promise.reject(new TypeError('no')), { concurrency: 1 })
      const other = await t.open(defineQueue(definition.name, { failFast: [TypeError] }), {
        topology: 'none',
        wrap: watch,
      })
      await runs.consumer.close()
      t.consume(other, () => Promise.reject(new TypeError('no')))
      const id = await other.send({})
      const [entry] = await t.dead(other, 1)
      assert.equal(entry?.id, id)
      assert.deepEqual(
        calls.filter((call) => call === 'declare' || call === 'verify'),
        [],
      )
    },
  },
  {
    id: 'C2-drift-refused',
    clauses: ['C2', 'E1'],
    name: 'a queue that exists with other settings is refused with DRIFT and left alone, never worked with as if it were right',
    skip: needsDrifted,
    async run(t) {
      const definition = t.define({ sendTimeout: '5s' })
      await t.harness.declareDrifted?.(definition.name)
      const queue = await t.open(definition)
      const error = await refused('a send', () => queue.send({}), 'DRIFT', 'rejected')
      assert.ok(error.message.includes(definition.name), `it names the queue: ${error.message}`)
      await refused('a receive', () => queue.receive(), 'DRIFT')
      await refused('a consumer', () => queue.consume(() => {}, { onError: () => {} }).ready, 'DRIFT')
      const before = await queue.verify()
      assert.ok(before.length > 0, 'it is still as it was')
    },
  },
  {
    id: 'C2-drift-reported',
    clauses: ['C2'],
    name: 'verifying reports each drifted field with what was expected and what is there, and writes nothing',
    skip: needsDrifted,
    async run(t) {
      const definition = t.define()
      await t.harness.declareDrifted?.(definition.name)
      const queue = await t.open(definition, { topology: 'none' })
      const drifts = await queue.verify()
      const fields = drifts.filter(
        ({ field, object }) => field !== undefined && object.includes(definition.name),
      )
      assert.ok(fields.length > 0, `a field is reported, saw ${JSON.stringify(drifts)}`)
      for (const { expected, actual, field } of fields) assert.notEqual(expected, actual, `field ${field}`)
      assert.deepEqual(await queue.verify(), drifts)
    },
  },
  {
    id: 'C2-adopt',
    clauses: ['C2'],
    name: "with topology 'verify' or 'none' a drifted queue is used as it is",
    skip: needsDrifted,
    async run(t) {
      const definition = t.define({ deadLetterRetention: '7d' })
      await t.harness.declareDrifted?.(definition.name)
      const before = await (await t.open(definition, { topology: 'none' })).verify()
      const queue = await t.open(definition, { topology: 'none' })
      const id = await queue.send({ n: 1 })
      const runs = t.consume(queue)
      await t.count('messages', runs.list, 1)
      assert.equal(runs.list[0]?.id, id)
      assert.deepEqual(await queue.verify(), before, 'it is still as it was')
    },
  },
  {
    id: 'C2-delete',
    clauses: ['C2'],
    name: 'deleting a queue takes its messages with it, leaves its dead letters, and can be done twice',
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      await queue.send('dead', { id: 'dead' })
      const [delivery] = await queue.receive({ wait: '5s' })
      await delivery?.reject()
      await queue.send('gone')
      if (t.capabilities.purgesDelayed) await queue.send('gone too', { delay: 400 })
      await queue.delete()
      await queue.delete()
      const again = await t.open(definition)
      await t.empty(again, 700)
      assert.deepEqual(
        (await t.deadNow(again)).map(({ id }) => id),
        ['dead'],
      )
    },
  },
]
