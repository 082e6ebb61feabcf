import assert from 'node:assert/strict'
import { MsgloopError } from '@msgloop/core'
import type { Case } from '../case.js'
import { between, refused, sameMembers } from '../expect.js'
import { pause } from '../wait.js'
import { witness } from '../witness.js'
import { needsDisconnect, needsOutage } from './needs.js'

export const networkCases: readonly Case[] = [
  {
    id: 'L1-unreachable',
    clauses: ['L1', 'E1'],
    name: 'connecting to a broker that is not there fails within its timeout, and says where it looked',
    skip: needsOutage,
    async run(t) {
      const broker = await t.broker()
      const restore = await t.outage(broker)
      const begun = Date.now()
      const error = await refused('connect', () => broker.connect({ timeout: 800 }), [
        'UNREACHABLE',
        'TIMEOUT',
        'CONNECTION_LOST',
      ])
      between('ms until it failed', Date.now() - begun, 0, 2_500)
      const { address } = await broker.health({ timeout: 300 })
      assert.ok(error.message.includes(address), `expected the address "${address}" in "${error.message}"`)
      await restore()
      await broker.connect({ timeout: '10s' })
      await broker.connect()
      assert.equal((await broker.health()).status, 'up')
    },
  },
  {
    id: 'L4-reconnect',
    clauses: ['L4'],
    name: 'after its connection is cut, a consumer resumes and sends work again, time after time',
    skip: needsDisconnect,
    async run(t) {
      const queue = await t.queue<number>({ sendTimeout: '10s' })
      const broker = t.brokerOf(queue)
      const runs = t.consume(queue)
      await queue.send(0, { id: 'm0' })
      await t.until(
        'message 0',
        () => runs.of('m0').length,
        (count) => count > 0,
      )
      for (let n = 1; n <= 3; n++) {
        await t.disconnect(broker)
        const sent = await t.until(
          'a send to work again',
          () => queue.send(n, { id: `m${n}` }).catch((error: unknown) => error),
          (result) => typeof result === 'string',
        )
        assert.equal(sent, `m${n}`)
        await t.until(
          `message ${n}`,
          () => runs.of(`m${n}`).length,
          (count) => count > 0,
        )
      }
      assert.equal(runs.consumer.state, 'running')
    },
  },
  {
    id: 'L4-under-load',
    clauses: ['L4', 'R6', 'S2'],
    name: 'connections cut under load lose no message: each is handled at least once, and what comes twice has more deliveries',
    skip: needsDisconnect,
    async run(t) {
      const definition = t.define<number>({ lease: '2s' })
      const sending = await t.open(definition)
      const queue = await t.open(definition)
      const runs = t.consume(queue, () => pause(5), { concurrency: 8 })
      const sent = await sending.sendBatch(Array.from({ length: 200 }, (_, body) => ({ body })))
      for (const at of [30, 80, 140]) {
        await t.count('handler runs', runs.list, at)
        await t.disconnect(t.brokerOf(queue))
      }
      await t.until(
        'every message',
        () => new Set(runs.ids()).size,
        (size) => size === 200,
      )
      let before = 0
      await t.until(
        'redeliveries to end',
        async () => {
          before = runs.list.length
          await pause(700)
          return runs.list.length - before
        },
        (more) => more === 0,
      )
      await runs.consumer.close()
      await t.empty(sending, 300)
      sameMembers(
        'handled',
        [...new Set(runs.ids())],
        sent.map(({ id }) => id ?? ''),
      )
      for (const id of new Set(runs.ids())) {
        const [first, second] = runs.of(id)
        if (second)
          assert.ok(
            second.deliveries > (first?.deliveries ?? 0),
            `a message that comes again says so, saw ${second.deliveries}`,
          )
      }
    },
  },
  {
    id: 'L4-outage',
    clauses: ['L4'],
    name: 'health tells of an outage and of its end within 5 s, nothing loops hot meanwhile, and the consumer resumes',
    skip: needsOutage,
    async run(t) {
      const definition = t.define()
      const { watch, calls } = witness()
      const queue = await t.open(definition, { wrap: watch })
      const broker = t.brokerOf(queue)
      const runs = t.consume(queue)
      await queue.send('before')
      await t.count('messages', runs.list, 1)
      assert.equal((await broker.health()).status, 'up')
      const callsBefore = calls.length
      const downAt = Date.now()
      const restore = await t.outage(broker)
      const down = await t.until(
        'health to be down',
        () => broker.health({ timeout: 500 }),
        ({ status }) => status === 'down',
      )
      between('ms until health was down', Date.now() - downAt, 0, 5_000)
      assert.ok(down.error instanceof MsgloopError, 'it says why')
      await pause(1_000)
      between('calls to open in an outage of over 1 s', calls.length - callsBefore, 0, 60)
      const upAt = Date.now()
      await restore()
      await t.until(
        'health to be up',
        () => broker.health(),
        ({ status }) => status === 'up',
      )
      between('ms until health was up', Date.now() - upAt, 0, 5_000)
      await (await t.open(definition)).send('after')
      await t.count('messages', runs.list, 2)
      assert.ok(runs.troubles.length > 0, 'the outage was reported')
      for (const trouble of runs.troubles) assert.ok(trouble instanceof MsgloopError, `saw ${trouble}`)
    },
  },
  {
    id: 'L4-told',
    clauses: ['L4', 'R7'],
    name: 'a driver whose deliveries go with the connection tells of its loss once, and can be opened again',
    skip: needsDisconnect,
    async run(t) {
      const definition = t.define()
      const spec = await t.declare(definition)
      const queue = await t.open(definition)
      const id = await queue.send({})
      const driver = await t.driver()
      const lost: unknown[] = []
      const options = {
        prefetch: 1,
        leaseMs: spec.leaseMs,
        consumer: 'c',
        onLost: (error: unknown) => void lost.push(error),
      }
      const receiver = await driver.openReceiver(spec, options, t.signal)
      const [delivery] = await receiver.receive(1, 5_000, t.signal)
      assert.equal(delivery?.message.id, id)
      const waiting = receiver.receive(1, 15_000, t.signal).then(
        (deliveries) => deliveries.length,
        () => 'failed',
      )
      await t.harness.disconnect?.(driver)
      if (t.capabilities.lease === 'connection') {
        await t.until(
          'the loss to be told',
          () => lost.length,
          (count) => count > 0,
        )
        const failures = await receiver
          .settle([{ token: delivery?.token, verdict: { kind: 'ack' } }])
          .catch((error: unknown) => [{ index: 0, error }])
        assert.equal(failures.length, 1, 'settling what was lost fails')
      }
      await receiver.close()
      await t.settled('the waiting receive to end', waiting)
      const again = await driver.openReceiver(spec, options, t.signal)
      const [redelivered] = await t.until(
        'the message again',
        () => again.receive(1, 1_000, t.signal),
        ({ length }) => length > 0,
      )
      assert.equal(redelivered?.message.id, id)
      assert.equal(redelivered?.deliveries, 2)
      assert.deepEqual(await again.settle([{ token: redelivered?.token, verdict: { kind: 'ack' } }]), [])
      await again.close()
      assert.ok(lost.length <= 1, `it is told at most once, saw ${lost.length}`)
    },
  },
]
