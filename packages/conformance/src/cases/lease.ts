import assert from 'node:assert/strict'
import { defineQueue, fixed, MsgloopError } from '@msgloop/core'
import type { Case } from '../case.js'
import { between, codeOf, sameMembers } from '../expect.js'
import { notEarly } from '../tolerance.js'
import { deferred, pause } from '../wait.js'
import { needsRenewable } from './needs.js'

export const leaseCases: readonly Case[] = [
  {
    id: 'R5-renewed',
    clauses: ['R5'],
    name: 'a handler three leases long is not delivered twice, though another consumer is idle',
    async run(t) {
      const definition = t.define({ lease: '1s' })
      const queue = await t.open(definition)
      const runs = t.consume(queue, () => pause(3_300))
      await queue.send({})
      await t.count('handlers started', runs.list, 1)
      const idle = t.consume(await t.open(definition))
      await t.until(
        'the handler to end',
        () => runs.list[0]?.endedAt,
        (at) => at !== undefined,
      )
      await runs.consumer.close()
      await pause(1_300)
      assert.equal(runs.list.length + idle.list.length, 1, 'the message was handled once')
      assert.equal(runs.list[0]?.message.signal.aborted, false)
    },
  },
  {
    id: 'R5-buffered',
    clauses: ['R5', 'R2'],
    name: 'messages fetched ahead keep their leases while they wait for a slot',
    async run(t) {
      const definition = t.define<number>({ lease: '1s' })
      const sending = await t.open(definition)
      await sending.sendBatch([1, 2, 3].map((body) => ({ body })))
      const events = t.events(definition.name)
      const runs = t.consume(await t.open(definition), () => pause(1_100), { concurrency: 1, prefetch: 2 })
      await t.until(
        'three messages to be received',
        () => events.filter(({ step }) => step === 'received').length,
        (count) => count >= 3,
      )
      const idle = t.consume(await t.open(definition))
      await t.until(
        'three handlers to end',
        () => runs.list.filter((run) => run.endedAt).length + idle.list.length,
        (count) => count >= 3,
      )
      await pause(1_200)
      assert.equal(runs.list.length + idle.list.length, 3, 'each message was handled once')
    },
  },
  {
    id: 'R5-max',
    clauses: ['R5', 'R7'],
    name: 'past maxLease the signal of the message aborts with LEASE_LOST, and the message goes to another consumer',
    skip: needsRenewable,
    async run(t) {
      const definition = t.define({ lease: '1s', maxLease: '1500ms' })
      const queue = await t.open(definition)
      const aborted = deferred<unknown>()
      const runs = t.consume(
        queue,
        async (_, message) => {
          message.signal.addEventListener('abort', () => aborted.resolve(message.signal.reason))
          await aborted.promise
          await pause(300)
        },
        { concurrency: 1 },
      )
      await queue.send({})
      await t.count('handlers started', runs.list, 1)
      const begun = Date.now()
      const other = t.consume(await t.open(definition))
      const reason = await t.settled('the signal to abort', aborted.promise)
      assert.ok(
        reason instanceof MsgloopError && reason.code === 'LEASE_LOST',
        `expected LEASE_LOST, saw ${reason}`,
      )
      between('ms until the lease was lost', Date.now() - begun, 1_000, 4_000)
      await t.count('redeliveries', other.list, 1)
      assert.equal(other.list[0]?.id, runs.list[0]?.id)
      await t.until(
        'the first handler to end',
        () => runs.list[0]?.endedAt,
        (at) => at !== undefined,
      )
      await t.empty(queue, 1_200)
      assert.equal(runs.list.length + other.list.length, 2)
    },
  },
  {
    id: 'R7-expired',
    clauses: ['R7'],
    name: 'when a lease has run out, settling fails with LEASE_LOST and leaves the next delivery alone',
    skip: needsRenewable,
    async run(t) {
      const definition = t.define({ lease: '1s', maxLease: '1s' })
      const queue = await t.open(definition)
      const id = await queue.send({})
      const [stale] = await queue.receive({ wait: '5s' })
      assert.ok(stale)
      await t.until(
        'the signal to abort',
        () => stale.signal.aborted,
        (aborted) => aborted,
      )
      const holder = await t.open(defineQueue(definition.name, { lease: '1s' }))
      const [current] = await holder.receive({ wait: '5s' })
      assert.equal(current?.id, id)
      for (const settle of ['ack', 'retry', 'release', 'reject'] as const) {
        const error: unknown = await stale[settle]().then(
          () => `${settle} succeeded`,
          (thrown: unknown) => thrown,
        )
        assert.ok(
          error instanceof MsgloopError && error.code === 'LEASE_LOST',
          `expected ${settle} to fail with LEASE_LOST, saw ${error}`,
        )
      }
      await t.empty(queue, 1_300)
      assert.equal(current?.signal.aborted, false)
      await current?.ack()
      await t.empty(queue)
      assert.deepEqual(await t.deadNow(queue), [], 'nothing was dead-lettered')
    },
  },
  {
    id: 'R7-driver-expired',
    clauses: ['R7', 'R6'],
    name: 'a driver gives what was not renewed to another client, and refuses to settle or extend it for the first',
    skip: needsRenewable,
    async run(t) {
      const spec = await t.declare(t.define({ lease: '1s' }))
      await t.sendRaw(spec, [{ id: 'm', body: Buffer.from('1') }])
      const open = async (leaseMs: number) => {
        const driver = await t.driver()
        const options = { prefetch: 1, leaseMs, consumer: 'c', onLost: () => {} }
        return { driver, receiver: await driver.openReceiver(spec, options, t.signal) }
      }
      const first = await open(1_000)
      const [stale] = await first.receiver.receive(1, 5_000, t.signal)
      const second = await open(30_000)
      const [current] = await t.until(
        'the message to go to another client',
        () => second.receiver.receive(1, 1_000, t.signal),
        ({ length }) => length > 0,
      )
      assert.equal(current?.deliveries, 2)
      const token = stale?.token
      const settled = await first.receiver.settle([{ token, verdict: { kind: 'ack' } }])
      const extended = (await first.receiver.extend?.([token], 30_000)) ?? []
      for (const [what, failures] of Object.entries({ settled, extended })) {
        const code = failures[0] && codeOf(first.driver, failures[0].error)
        assert.equal(code, 'LEASE_LOST', `${what} by the first client`)
      }
      assert.deepEqual(
        await second.receiver.extend?.([current?.token], 30_000),
        [],
        'the second still has it',
      )
      await second.receiver.close()
      const [third] = await (await t.open(defineQueue(spec.name, { lease: '1s' }))).receive({ wait: '5s' })
      assert.equal(third?.id, 'm', 'the stale ack settled nothing')
      await third?.ack()
      await first.receiver.close()
    },
  },
  {
    id: 'R7-blocked',
    clauses: ['R7', 'R5'],
    name: 'when the event loop was blocked for two leases, no two handlers run the message believing it theirs',
    exclusive: true,
    async run(t) {
      const definition = t.define({ lease: '1s' })
      const queue = await t.open(definition)
      const runs = t.consume(queue, async (_, __, nth) => {
        if (nth > 1) return
        const until = Date.now() + 2_200
        while (Date.now() < until);
        await pause(600)
      })
      await queue.send({})
      await t.count('handlers started', runs.list, 1)
      const other = t.consume(await t.open(definition))
      const first = await t.until(
        'the handler to end',
        () => runs.list[0],
        (run) => run?.endedAt !== undefined,
      )
      await pause(1_300)
      const twice = runs.list.length + other.list.length > 1
      if (twice)
        assert.equal(first?.message.signal.aborted, true, 'a handler whose message went elsewhere is told')
      if (twice && first) {
        const { reason } = first.message.signal
        assert.ok(
          reason instanceof MsgloopError && reason.code === 'LEASE_LOST',
          `expected LEASE_LOST, saw ${reason}`,
        )
      }
      await t.empty(queue, 1_300)
    },
  },
  {
    id: 'R8-heartbeat',
    clauses: ['R8', 'T2'],
    name: 'a renewal never undoes a retry: its delay stands however the handler ended among renewals',
    skip: needsRenewable,
    async run(t) {
      const delay = 2_200
      const queue = await t.queue<number>({ lease: '1s', retry: fixed({ attempts: 2, delay }) })
      const runs = t.consume(
        queue,
        async (body, _, nth) => {
          if (nth > 1) return
          await pause(250 + body * 40)
          throw new Error('later')
        },
        { concurrency: 20 },
      )
      await queue.sendBatch(Array.from({ length: 20 }, (_, body) => ({ body })))
      await t.count('handler runs', runs.list, 40)
      for (const id of new Set(runs.ids())) {
        const [first, second, ...more] = runs.of(id)
        assert.equal(more.length, 0)
        notEarly('ms between failure and retry', (second?.startedAt ?? 0) - (first?.endedAt ?? 0), delay)
      }
    },
  },
  {
    id: 'R8-extend-race',
    clauses: ['R8'],
    name: 'an extension begun just before a settlement never undoes it',
    skip: needsRenewable,
    async run(t) {
      const queue = await t.queue<number>({ lease: '1s', retry: fixed({ attempts: 3, delay: 1_700 }) })
      const { length } = await queue.sendBatch(Array.from({ length: 10 }, (_, body) => ({ body })))
      const failedAt = new Map<string, number>()
      while (failedAt.size < length)
        for (const delivery of await queue.receive({ max: 10, wait: '5s' })) {
          failedAt.set(delivery.id, Date.now())
          const extended = delivery.extend('1s').catch(() => {})
          await (delivery.body === 0 ? delivery.ack() : delivery.retry())
          await extended
        }
      const again = new Map<string, number>()
      while (again.size < length - 1)
        for (const delivery of await queue.receive({ max: 10, wait: '5s' })) {
          notEarly('ms between failure and retry', Date.now() - (failedAt.get(delivery.id) ?? 0), 1_700)
          again.set(delivery.id, delivery.body)
          await delivery.ack()
        }
      sameMembers('bodies', [...again.values()], [1, 2, 3, 4, 5, 6, 7, 8, 9])
    },
  },
]
