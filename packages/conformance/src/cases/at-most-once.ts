import assert from 'node:assert/strict'
import type { FlowEvent } from '@msgloop/core'
import { DriverError } from '@msgloop/core/driver'
import type { Case } from '../case.js'
import { decorate, holdSends } from '../decorate.js'
import { refused } from '../expect.js'
import { deferred, pause } from '../wait.js'
import { witness } from '../witness.js'

const guarantee = 'at-most-once'

/** Guarantee `at-most-once`. */
export const atMostOnceCases: readonly Case[] = [
  {
    id: 'X1-acked-first',
    clauses: ['X1'],
    name: 'a message is acked before its handler runs: though that is cut short, it does not come again',
    async run(t) {
      const definition = t.define<string>({ guarantee, lease: '1s' })
      const queue = await t.open(definition)
      const runs = t.consume(queue, () => new Promise(() => {}), { concurrency: 2 })
      await queue.send('a')
      await queue.send('b')
      await t.count('handlers started', runs.list, 2)
      await runs.consumer.close({ timeout: 100 })
      assert.equal(runs.consumer.state, 'closed')
      await t.empty(await t.open(definition), 1_500)
    },
  },
  {
    id: 'X1-failure',
    clauses: ['X1', 'F1'],
    name: 'a handler that fails is told of as an event, and nothing is retried or dead-lettered',
    async run(t) {
      const definition = t.define<string>({ guarantee })
      const queue = await t.open(definition)
      const events = t.events(definition.name)
      const runs = t.consume(queue, () => {
        throw new RangeError('lost')
      })
      const id = await queue.send('a')
      const failed = await t.until<FlowEvent | undefined>(
        'the event',
        () => events.find(({ step }) => step === 'failed'),
        (event) => event !== undefined,
      )
      assert.equal(failed?.messageId, id)
      assert.ok(failed?.error instanceof RangeError)
      assert.equal(failed?.attempt, 1)
      const steps = events.map(({ step }) => step).filter((step) => step !== 'sent')
      assert.deepEqual(steps, ['received', 'acked', 'started', 'failed'])
      await runs.consumer.close()
      await t.empty(queue)
      assert.deepEqual(await t.deadNow(queue), [])
      assert.equal(runs.list.length, 1)
    },
  },
  {
    id: 'X1-ack-fails',
    clauses: ['X1'],
    name: 'while a message cannot be acked its handler does not run',
    async run(t) {
      let failing = true
      let failed = 0
      const definition = t.define<string>({ guarantee, lease: '5s' })
      const queue = await t.open(definition, {
        wrap: (driver) =>
          decorate(driver, {
            receiver: (inner) => ({
              async settle(batch, signal) {
                if (!failing || batch.every(({ verdict }) => verdict.kind !== 'ack'))
                  return await inner.settle(batch, signal)
                failed += batch.length
                return batch.map((_, index) => ({ index, error: new DriverError('BUSY', 'not now') }))
              },
            }),
          }),
      })
      const runs = t.consume(queue)
      await queue.send('a')
      await t.until(
        'acks to fail',
        () => failed,
        (count) => count >= 2,
      )
      assert.equal(runs.list.length, 0)
      failing = false
      await t.count('handler runs', runs.list, 1)
      await runs.consumer.close()
      await t.empty(await t.open(definition))
      assert.equal(runs.list.length, 1)
    },
  },
  {
    id: 'X1-drain',
    clauses: ['X1', 'L2'],
    name: 'closing waits for handlers whose messages are acked already',
    async run(t) {
      const queue = await t.queue<string>({ guarantee })
      const gate = deferred()
      const runs = t.consume(queue, () => gate.promise)
      await queue.send('a')
      await t.count('handlers started', runs.list, 1)
      let closed = false
      const closing = runs.consumer.close().then(() => {
        closed = true
      })
      await pause(100)
      assert.equal(closed, false)
      gate.resolve()
      await t.settled('the consumer to close', closing)
      assert.notEqual(runs.list[0]?.endedAt, undefined)
    },
  },
  {
    id: 'X1-unreadable',
    clauses: ['X1', 'M5'],
    name: 'what cannot be read is dead-lettered all the same',
    async run(t) {
      const definition = t.define<string>({ guarantee })
      const spec = await t.declare(definition)
      await t.sendRaw(spec, [{ id: 'broken', body: Buffer.from('{'), contentType: 'application/json' }])
      const queue = await t.open(definition)
      const runs = t.consume(queue)
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.reason, 'undecodable')
      assert.equal(runs.list.length, 0)
    },
  },
  {
    id: 'X1-receive',
    clauses: ['X1', 'R3'],
    name: '`receive` gives what is acked already: it cannot be given back',
    async run(t) {
      const queue = await t.queue<string>({ guarantee })
      await queue.send('a')
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.equal(delivery?.body, 'a')
      await delivery?.ack()
      await refused('release', () => delivery?.release(), 'SETTLED')
      await t.empty(queue)
    },
  },
  {
    id: 'X1-send',
    clauses: ['X1', 'S9'],
    name: '`send` does not wait for the confirm, and past the bound waits for those before it',
    async run(t) {
      const open = deferred()
      const definition = t.define<number>({ guarantee })
      const queue = await t.open(definition, {
        wrap: (driver) => holdSends(driver, open.promise),
        maxUnconfirmed: 2,
      })
      await t.settled('the first send', queue.send(1))
      await t.settled('the second send', queue.send(2))
      let third = false
      const sending = queue.send(3).then(() => {
        third = true
      })
      await pause(100)
      assert.equal(third, false, 'two are unconfirmed')
      open.resolve()
      await t.settled('the third send', sending)
      const runs = t.consume(queue)
      await t.count('handler runs', runs.list, 3)
    },
  },
  {
    id: 'X1-send-refused',
    clauses: ['X1', 'S4'],
    name: '`send` still refuses what it can before any I/O, and what the broker refuses later is a warning',
    async run(t) {
      const { watch, calls } = witness()
      const checked = await t.queue<unknown>({ guarantee }, { wrap: watch })
      await refused('no JSON', () => checked.send(1n), 'INVALID', 'rejected')
      await refused('a priority', () => checked.send(1, { priority: 'high' }), 'INVALID', 'rejected')
      assert.deepEqual(calls, [])
      const warnings: Error[] = []
      const note = (warning: Error): void => void warnings.push(warning)
      process.on('warning', note)
      try {
        const queue = await t.queue<number>(
          { guarantee },
          {
            wrap: (driver) =>
              decorate(driver, {
                sender: () => ({
                  async send(batch) {
                    const error = new DriverError('DENIED', 'no permission', { outcome: 'rejected' })
                    return batch.map((_, index) => ({ index, error }))
                  },
                }),
              }),
          },
        )
        await queue.send(1)
        await t.until(
          'a warning',
          () => warnings.filter(({ message }) => message.includes(queue.name)),
          ({ length }) => length > 0,
        )
      } finally {
        process.off('warning', note)
      }
    },
  },
]
