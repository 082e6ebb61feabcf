import assert from 'node:assert/strict'
import { defineQueue, immediate, MsgloopError } from '@msgloop/core'
import { abandon } from '../abandon.js'
import type { Case } from '../case.js'
import { between } from '../expect.js'
import { heldQueue } from '../hold-message.js'
import { notLate, watchStalls } from '../tolerance.js'
import { deferred } from '../wait.js'
import { all, needsConnectionLease, needsDisconnect, needsOutage, needsProcess } from './needs.js'

const LEASE_MS = 1_000

export const crashCases: readonly Case[] = [
  {
    id: 'R6-let-go',
    clauses: ['R6'],
    name: 'what a client lets go of unsettled is delivered again, each time with deliveries one higher',
    async run(t) {
      const definition = t.define({ lease: LEASE_MS })
      const spec = await t.declare(definition)
      const queue = await t.open(definition)
      const id = await queue.send({})
      for (let time = 1; time <= 3; time++)
        assert.equal(await abandon(t, spec), time, `deliveries of hand-over ${time}`)
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.equal(delivery?.id, id)
      assert.equal(delivery?.deliveries, 4)
      // Where a retry is in place the broker counts, and cannot tell a crash from a failure.
      assert.equal(delivery?.attempt, t.capabilities.retry === 'copy' ? 1 : 4)
      await delivery?.ack()
    },
  },
  {
    id: 'R6-kill',
    clauses: ['R6', 'T3'],
    name: 'the message of a killed process is delivered again within the lease plus 1 s, with deliveries one higher',
    skip: needsProcess,
    exclusive: true,
    timeoutMs: 30_000,
    async run(t) {
      const definition = heldQueue(t.name())
      const queue = await t.open(definition)
      const id = await queue.send({ n: 1 })
      const held = await t.harness.spawnConsumer?.(definition.name)
      assert.ok(held)
      try {
        assert.equal(await t.settled('the process to hold the message', held.started), id)
        const runs = t.consume(queue)
        await t.until(
          'the consumer to be ready',
          () => runs.consumer.ready.then(() => true),
          (ready) => ready,
        )
        assert.equal(runs.list.length, 0, 'the message is with the process')
        const stalls = watchStalls()
        const killedAt = Date.now()
        await held.kill()
        await t.count('redeliveries', runs.list, 1)
        const tookMs = (runs.list[0]?.startedAt ?? 0) - killedAt
        notLate('ms until redelivery', tookMs, LEASE_MS + 1_000 + stalls.longestMs())
        stalls.stop()
        assert.equal(runs.list[0]?.id, id)
        assert.equal(runs.list[0]?.deliveries, 2)
      } finally {
        await held.kill()
      }
    },
  },
  {
    id: 'R6-cut',
    clauses: ['R6', 'R7'],
    name: 'when the network is cut the message goes to another consumer in time, and the first is told, and can no longer settle it',
    skip: needsOutage,
    exclusive: true,
    async run(t) {
      const definition = t.define({ lease: LEASE_MS })
      const queue = await t.open(definition)
      const gate = deferred()
      const cutOff = t.consume(queue, () => gate.promise)
      const id = await queue.send({})
      await t.count('handlers started', cutOff.list, 1)
      const done = deferred()
      const other = t.consume(await t.open(definition), () => done.promise)
      await other.consumer.ready
      const stalls = watchStalls()
      const cutAt = Date.now()
      const restore = await t.outage(t.brokerOf(queue))
      await t.count('redeliveries', other.list, 1)
      notLate(
        'ms until redelivery',
        (other.list[0]?.startedAt ?? 0) - cutAt,
        LEASE_MS + 1_000 + stalls.longestMs(),
      )
      stalls.stop()
      assert.equal(other.list[0]?.id, id)
      assert.equal(other.list[0]?.deliveries, 2)
      const { signal } = cutOff.list[0]?.message ?? {}
      await t.until(
        'the signal of the first handler to abort',
        () => signal?.aborted,
        (aborted) => aborted === true,
      )
      const reason: unknown = signal?.reason
      assert.ok(
        reason instanceof MsgloopError && reason.code === 'LEASE_LOST',
        `expected LEASE_LOST, saw ${reason}`,
      )
      gate.resolve()
      await restore()
      await cutOff.consumer.close({ timeout: 1_000 })
      const third = await t.open(definition)
      await t.empty(third, 1_500)
      done.resolve()
      await other.consumer.close()
      await t.empty(third, 500)
      assert.equal(cutOff.list.length + other.list.length, 2)
    },
  },
  {
    id: 'R7-stale',
    clauses: ['R7', 'L4'],
    name: 'a delivery of before a reconnect cannot be settled, and settling it never settles the one of after',
    skip: all(needsConnectionLease, needsDisconnect),
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      const id = await queue.send({})
      const [stale] = await queue.receive({ wait: '5s' })
      assert.ok(stale)
      await t.disconnect(t.brokerOf(queue))
      await t.until(
        'the signal to abort',
        () => stale.signal.aborted,
        (aborted) => aborted,
      )
      const [current] = await t.until(
        'the message again',
        () => queue.receive({ wait: 500 }).catch(() => []),
        ({ length }) => length > 0,
      )
      assert.equal(current?.id, id)
      assert.equal(current?.deliveries, 2)
      const error: unknown = await stale.ack().then(
        () => 'ack succeeded',
        (thrown: unknown) => thrown,
      )
      assert.ok(
        error instanceof MsgloopError && error.code === 'LEASE_LOST',
        `expected LEASE_LOST, saw ${error}`,
      )
      await t.brokerOf(queue).close({ timeout: 300 })
      const [third] = await (await t.open(definition)).receive({ wait: '5s' })
      assert.equal(third?.id, id, 'the stale ack settled nothing')
      await third?.ack()
    },
  },
  {
    id: 'R9-crash-loop',
    clauses: ['R9', 'D1'],
    name: 'a message handed over more than maxDeliveries times is dead-lettered before its handler runs',
    async run(t) {
      const definition = t.define({ lease: LEASE_MS, maxDeliveries: 3, retry: immediate({ attempts: 5 }) })
      const spec = await t.declare(definition)
      const queue = await t.open(definition)
      const id = await queue.send({ poison: true })
      for (let time = 1; time <= 3; time++) await abandon(t, spec)
      const runs = t.consume(queue)
      await queue.send('healthy', { id: 'healthy' })
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.id, id)
      assert.equal(entry?.reason, 'crash-loop')
      assert.equal(entry?.deliveries, 4)
      assert.equal(entry?.attemptCount, t.capabilities.retry === 'copy' ? 0 : 3)
      await t.until(
        'the healthy message',
        () => runs.of('healthy').length,
        (count) => count === 1,
      )
      assert.deepEqual(runs.of(id), [], 'its handler never ran')
      await t.empty(queue)
    },
  },
  {
    id: 'R9-within',
    clauses: ['R9', 'T1'],
    name: 'a message handed over exactly maxDeliveries times still reaches its handler',
    async run(t) {
      const definition = t.define({ lease: LEASE_MS, maxDeliveries: 3 })
      const spec = await t.declare(definition)
      const queue = await t.open(definition)
      await queue.send({})
      for (let time = 1; time <= 2; time++) await abandon(t, spec)
      const runs = t.consume(queue)
      await t.count('handler runs', runs.list, 1)
      assert.equal(runs.list[0]?.deliveries, 3)
    },
  },
  {
    id: 'D3-backstop',
    clauses: ['D3', 'D5'],
    name: "the broker itself dead-letters what crashes for ever, above the core's limit, and the entry is listed as crash-loop",
    timeoutMs: 60_000,
    async run(t) {
      const definition = t.define({ lease: LEASE_MS, maxDeliveries: 2 })
      const spec = await t.declare(definition)
      assert.equal(spec.deadLetter, definition.deadLetter)
      const limit = spec.deliveryLimit ?? 0
      between('deliveryLimit, above maxDeliveries', limit, (definition.maxDeliveries ?? 0) + 1, 1_000)
      const sending = await t.open(definition)
      const id = await sending.send({ poison: true }, { headers: { tenant: 'a' } })
      for (let time = 1; time <= limit; time++) await abandon(t, spec)
      const driver = await t.driver()
      const options = { prefetch: 1, leaseMs: spec.leaseMs, consumer: 'crasher', onLost: () => {} }
      const entry = await t.until(
        'the broker to dead-letter the message',
        async () => {
          // Let go of, not given back: that is no failure to RabbitMQ 4.3.
          const receiver = await driver.openReceiver(spec, options, t.signal)
          await receiver.receive(1, 100, t.signal)
          await receiver.close()
          return (
            await t.deadNow(await t.open(defineQueue(definition.name, { maxDeliveries: 2, lease: LEASE_MS })))
          )[0]
        },
        (found) => found !== undefined,
      )
      assert.equal(entry?.id, id)
      assert.equal(entry?.reason, 'crash-loop')
      assert.equal(entry?.headers.tenant, 'a')
    },
  },
]
