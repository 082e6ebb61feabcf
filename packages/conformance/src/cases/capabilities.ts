import assert from 'node:assert/strict'
import type { Queue, QueueStats } from '@msgloop/core'
import { bytes, defineQueue } from '@msgloop/core'
import type { Case } from '../case.js'
import { between, codeOf, refused } from '../expect.js'
import { pause } from '../wait.js'
import { witness } from '../witness.js'

/** Each look at a queue is counted, to that queue alone. */
async function looksAreRequests(
  before: number | undefined,
  { requests }: QueueStats,
  other: Queue<unknown>,
): Promise<void> {
  between('requests of one more look', (requests ?? 0) - (before ?? 0), 1, 3)
  await other.send({})
  const [once = 0, twice = 0] = [(await other.stats()).requests, (await other.stats()).requests]
  assert.ok(once > 0 && twice > once, `requests for a queue of its own: ${once}, then ${twice}`)
}

export const capabilityCases: readonly Case[] = [
  {
    id: 'C1-frozen',
    clauses: ['C1'],
    name: 'capabilities and limits are complete, frozen all through, and the same whenever they are asked for',
    async run(t) {
      const driver = await t.driver()
      const { capabilities } = driver
      const broker = await t.broker()
      assert.equal(driver.capabilities, capabilities)
      assert.deepEqual(broker.capabilities, capabilities)
      assert.equal(broker.name, driver.name)
      for (const [what, part] of Object.entries({ capabilities, ...capabilities }))
        if (typeof part === 'object') assert.ok(Object.isFrozen(part), `${what} is frozen`)
      const { limits } = capabilities
      for (const name of [
        'bodyBytes',
        'headerCount',
        'headerBytes',
        'delayMs',
        'delayResolutionMs',
        'leaseMs',
        'sendBatch',
        'sendBatchBytes',
        'sendsInFlight',
        'receiveBatch',
        'settleBatch',
      ] as const)
        assert.ok(
          Number.isSafeInteger(limits[name]) && limits[name] >= 1,
          `limits.${name} is ${limits[name]}`,
        )
      for (const name of ['sendLingerMs', 'settleLingerMs'] as const)
        between(`limits.${name}`, limits[name], 0, 1_000)
      between('limits.bodyBytes', limits.bodyBytes, 256 * 1_024, Number.POSITIVE_INFINITY)
      between(
        'limits.topicBodyBytes',
        limits.topicBodyBytes ?? limits.bodyBytes,
        128 * 1_024,
        limits.bodyBytes,
      )
      between('limits.delayResolutionMs', limits.delayResolutionMs, 1, 1_000)
      between('limits.leaseMs', limits.leaseMs, 60_000, Number.POSITIVE_INFINITY)
      for (const flag of ['releaseCounts', 'purgesDelayed', 'topics', 'replies'] as const)
        assert.equal(typeof capabilities[flag], 'boolean', flag)
    },
  },
  {
    id: 'C1-batches',
    clauses: ['C1', 'S1'],
    name: 'native batches of exactly the declared sizes are sent, received and settled',
    async run(t) {
      const driver = await t.driver()
      const { sendBatch, receiveBatch, settleBatch } = t.capabilities.limits
      const spec = await t.declare(t.define())
      const sender = await driver.openSender(spec, t.signal)
      const total = Math.min(sendBatch, 2_000)
      const batch = Array.from({ length: total }, (_, n) => ({
        delayMs: 0,
        message: { id: `m${n}`, body: Buffer.from(`${n}`), headers: {}, timestamp: Date.now() },
      }))
      assert.deepEqual(await sender.send(batch, t.signal), [], 'every item of the largest batch is sent')
      await sender.close()
      const options = { prefetch: total, leaseMs: spec.leaseMs, consumer: 'c', onLost: () => {} }
      const receiver = await driver.openReceiver(spec, options, t.signal)
      const seen = new Set<string>()
      const unsettled: unknown[] = []
      const settle = async (): Promise<void> => {
        const tokens = unsettled.splice(0, settleBatch)
        const failures = await receiver.settle(tokens.map((token) => ({ token, verdict: { kind: 'ack' } })))
        assert.deepEqual(failures, [], 'every item of the batch is settled')
      }
      while (seen.size < total) {
        const deliveries = await receiver.receive(Math.min(receiveBatch, total), 1_000, t.signal)
        if (t.signal.aborted) assert.fail(`expected ${total} messages, saw ${seen.size}`)
        between('messages of one native receive', deliveries.length, 0, Math.min(receiveBatch, total))
        for (const { message, token } of deliveries) {
          assert.ok(!seen.has(message.id), `message ${message.id} came twice`)
          seen.add(message.id)
          unsettled.push(token)
        }
        while (unsettled.length >= settleBatch) await settle()
      }
      while (unsettled.length > 0) await settle()
      await receiver.close()
      await t.empty(await t.open(defineQueue(spec.name)))
    },
  },
  {
    id: 'C1-receive-max',
    clauses: ['C1', 'R2', 'R3'],
    name: 'a driver hands over at most `max` at once, at most `prefetch` unsettled, and does not wait for more',
    async run(t) {
      const driver = await t.driver()
      const spec = await t.declare(t.define())
      await t.sendRaw(
        spec,
        Array.from({ length: 12 }, (_, n) => ({ id: `m${n}`, body: Buffer.from(`${n}`) })),
      )
      const options = { prefetch: 5, leaseMs: spec.leaseMs, consumer: 'c', onLost: () => {} }
      const receiver = await driver.openReceiver(spec, options, t.signal)
      const first = await receiver.receive(2, 5_000, t.signal)
      between('messages of a receive of 2', first.length, 1, 2)
      const held = [...first]
      while (held.length < 5) held.push(...(await receiver.receive(5 - held.length, 5_000, t.signal)))
      assert.equal(held.length, 5)
      const other = await t.open(defineQueue(spec.name))
      const rest = new Set<string>()
      await t.until(
        'another client to get all beyond the prefetch',
        async () => {
          for (const delivery of await other.receive({ max: 10, wait: 200 })) rest.add(delivery.id)
          return rest.size
        },
        (size) => size === 7,
      )
      await receiver.settle(held.map(({ token }) => ({ token, verdict: { kind: 'ack' } })))
      await receiver.close()
    },
  },
  {
    id: 'C1-shape',
    clauses: ['C1', 'T1'],
    name: 'a driver can extend exactly when leases are renewable, and counts attempts exactly when it retries in place',
    async run(t) {
      const driver = await t.driver()
      const spec = await t.declare(t.define())
      await t.sendRaw(spec, [{ id: 'm', body: Buffer.from('1') }])
      const options = { prefetch: 1, leaseMs: spec.leaseMs, consumer: 'c', onLost: () => {} }
      const receiver = await driver.openReceiver(spec, options, t.signal)
      assert.equal(typeof receiver.extend === 'function', t.capabilities.lease === 'renewable')
      const [delivery] = await receiver.receive(1, 5_000, t.signal)
      assert.equal(delivery?.deliveries, 1)
      assert.equal(delivery?.attempt, t.capabilities.retry === 'in-place' ? 1 : undefined)
      for (let time = 0; time < 2; time++) {
        const failures = await receiver.settle([{ token: delivery?.token, verdict: { kind: 'ack' } }])
        assert.deepEqual(failures, [], 'settling what is settled is not a failure')
      }
      await receiver.stop()
      await receiver.stop()
      await receiver.close()
      await receiver.close()
    },
  },
  {
    id: 'S7-refused',
    clauses: ['S7', 'C1'],
    name: 'a window for duplicates longer than the broker has is refused as UNSUPPORTED before any I/O',
    async run(t) {
      const { watch, calls } = witness()
      const broker = await t.broker({ wrap: watch })
      const dedup = t.capabilities.dedupWindowMs + 1
      await refused(`dedup ${dedup}`, () => broker.queue(t.define({ dedup })), 'UNSUPPORTED')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'C1-lanes-refused',
    clauses: ['C1', 'S4'],
    name: 'a priority is refused as INVALID before any I/O by a queue without lanes',
    async run(t) {
      const { watch, calls } = witness()
      const queue = await t.queue({}, { wrap: watch })
      for (const priority of ['high', 'low'] as const)
        await refused(`priority ${priority}`, () => queue.send({}, { priority }), 'INVALID', 'rejected')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'C1-lease-limit',
    clauses: ['C1', 'S4'],
    name: 'a maxLease beyond the longest lease of the broker is refused as UNSUPPORTED before any I/O',
    skip: ({ limits }) =>
      limits.leaseMs >= Number.MAX_SAFE_INTEGER ? 'a lease can be renewed for ever here' : undefined,
    async run(t) {
      const { watch, calls } = witness()
      const broker = await t.broker({ wrap: watch })
      const maxLease = t.capabilities.limits.leaseMs + 1
      await refused('maxLease', () => broker.queue(t.define({ maxLease })), 'UNSUPPORTED')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'C1-driver-refuses',
    clauses: ['C1'],
    name: 'a driver refuses to declare what its capabilities deny: topics, order by key, duplicate windows',
    async run(t) {
      const driver = await t.driver()
      const spec = await t.declare(t.define())
      const { topics, order, dedupWindowMs } = t.capabilities
      const declare = async (
        what: string,
        topology: Parameters<typeof driver.admin.declare>[0],
      ): Promise<void> => {
        const outcome: unknown = await driver.admin.declare(topology, t.signal).then(
          () => 'it was declared',
          (error: unknown) => codeOf(driver, error),
        )
        assert.equal(outcome, 'UNSUPPORTED', `${what} must be refused`)
      }
      const other = { ...spec, name: t.name() }
      if (!topics) await declare('a topic', { kind: 'topic', name: t.name() })
      if (order === 'none') await declare('order by key', { ...other, order: 'key' })
      if (dedupWindowMs === 0) await declare('a duplicate window', { ...other, dedupWindowMs: 60_000 })
    },
  },
  {
    id: 'C1-in-flight',
    clauses: ['C1', 'S8'],
    name: 'as many batches as `sendsInFlight` says, sent at once, are stored in the order they were begun',
    skip: (_, harness) => harness.unordered,
    async run(t) {
      const driver = await t.driver()
      const definition = t.define<number>()
      const spec = await t.declare(definition)
      const sender = await driver.openSender(spec, t.signal)
      const count = Math.min(t.capabilities.limits.sendsInFlight, 50)
      const size = Math.min(t.capabilities.limits.sendBatch, 5)
      const sends = Array.from({ length: count }, (_, batch) =>
        sender.send(
          Array.from({ length: size }, (_, n) => ({
            delayMs: 0,
            message: {
              id: `m${batch}-${n}`,
              body: Buffer.from(`${batch * size + n}`),
              headers: {},
              timestamp: Date.now(),
              contentType: 'application/json',
            },
          })),
          t.signal,
        ),
      )
      for (const failures of await Promise.all(sends)) assert.deepEqual(failures, [])
      await sender.close()
      const runs = t.consume(await t.open(definition), undefined, { concurrency: 1 })
      await t.count('messages', runs.list, count * size)
      assert.deepEqual(
        runs.list.map(({ body }) => body),
        Array.from({ length: count * size }, (_, n) => n),
      )
    },
  },
  {
    id: 'C3-native',
    clauses: ['C3'],
    name: "native() gives the client library's own objects, of the broker and of each message",
    async run(t) {
      const queue = await t.queue({ codec: bytes() })
      const broker = t.brokerOf(queue)
      await broker.connect()
      assert.ok(broker.native(), 'the broker has a native object')
      await queue.send(new Uint8Array([1]))
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.ok(delivery?.native(), 'a delivery has a native object')
      await delivery?.ack()
      const runs = t.consume(queue)
      await queue.send(new Uint8Array([2]))
      await t.count('messages', runs.list, 1)
      assert.ok(runs.list[0]?.message.native(), 'a message has a native object')
    },
  },
  {
    id: 'F3-stats',
    clauses: ['F3', 'C1'],
    name: 'stats are numbers exactly where the broker says so, and the numbers are true',
    async run(t) {
      const queue = await t.queue<number>()
      const declared = new Set<string>(t.capabilities.stats)
      await queue.sendBatch(Array.from({ length: 6 }, (_, body) => ({ body })))
      await queue.sendBatch([1, 2, 3].map((body) => ({ body, delay: '1h' as const })))
      const [held] = await queue.receive({ wait: '5s' })
      assert.ok(held)
      const expected = { ready: 5, inFlight: 1, delayed: 3 }
      for (const [field, number] of Object.entries(expected))
        if (declared.has(field))
          await t.until(
            `${field} to be ${number}`,
            () => queue.stats(),
            (stats) => Reflect.get(stats, field) === number,
          )
      await pause(20)
      const stats = await queue.stats()
      for (const field of ['ready', 'inFlight', 'delayed', 'oldestAgeMs', 'consumers', 'requests'] as const) {
        assert.equal(typeof stats[field], declared.has(field) ? 'number' : 'undefined', `stats.${field}`)
      }
      if (declared.has('requests'))
        await looksAreRequests(stats.requests, await queue.stats(), await t.queue())
      if (declared.has('oldestAgeMs')) between('stats.oldestAgeMs', stats.oldestAgeMs ?? 0, 1, 60_000)
      if (declared.has('ready')) assert.equal(stats.dead, 0)
      await held.reject(new Error('no'))
      if (declared.has('ready'))
        await t.until(
          'one dead letter',
          () => queue.stats(),
          ({ dead }) => dead === 1,
        )
      if (declared.has('consumers')) {
        const counted = await t.queue()
        const runs = [t.consume(counted), t.consume(counted)]
        await Promise.all(runs.map(({ consumer }) => consumer.ready))
        await t.until(
          'two consumers',
          () => counted.stats(),
          ({ consumers }) => consumers === 2,
        )
        await Promise.all(runs.map(({ consumer }) => consumer.close()))
        await t.until(
          'no consumer',
          () => counted.stats(),
          ({ consumers }) => consumers === 0,
        )
      }
      const purged = await queue.purge()
      const { purgesDelayed } = t.capabilities
      if (purged !== undefined) assert.equal(purged, purgesDelayed ? 8 : 5, 'messages purged')
      await t.empty(queue)
      if (declared.has('delayed')) assert.equal((await queue.stats()).delayed, purgesDelayed ? 0 : 3)
    },
  },
]
