import assert from 'node:assert/strict'
import type { SendResult } from '@msgloop/core'
import { createBroker, fixed, MsgloopError } from '@msgloop/core'
import type { Case } from '../case.js'
import { between, refused } from '../expect.js'
import { deferred, pause } from '../wait.js'

/** Rejects as the first item of a batch did, or as the batch itself. */
async function firstOutcome(results: Promise<SendResult[]>): Promise<string> {
  const [first] = await results
  if (first?.ok) return first.id
  throw first?.error
}

export const closeCases: readonly Case[] = [
  {
    id: 'L2-drain',
    clauses: ['L2', 'R1'],
    name: 'closing a consumer lets running handlers finish and settle, and starts no other',
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      const gate = deferred()
      const runs = t.consume(queue, () => gate.promise, { concurrency: 2 })
      await queue.sendBatch([1, 2, 3, 4].map((body) => ({ body })))
      await t.count('handlers started', runs.list, 2)
      const closing = runs.consumer.close()
      assert.equal(runs.consumer.state, 'closing')
      let over = false
      void closing.then(() => {
        over = true
      })
      await pause(150)
      assert.equal(over, false, 'close waits for the handlers')
      gate.resolve()
      await t.settled('the consumer to close', closing)
      assert.equal(runs.consumer.state, 'closed')
      assert.equal(runs.consumer.running, 0)
      assert.equal(runs.list.length, 2)
      await t.brokerOf(queue).close()
      const rest = t.consume(await t.open(definition))
      await t.count('the other messages', rest.list, 2)
      await pause(200)
      const bodies = [...runs.list, ...rest.list].map(({ body }) => body)
      assert.deepEqual(bodies.sort(), [1, 2, 3, 4], 'what was handled was settled')
    },
  },
  {
    id: 'L2-idle',
    clauses: ['L2', 'L3'],
    name: 'an idle consumer and its broker close promptly',
    async run(t) {
      const queue = await t.queue()
      const runs = t.consume(queue)
      await runs.consumer.ready
      const begun = Date.now()
      await runs.consumer.close()
      between('ms until the consumer closed', Date.now() - begun, 0, 1_000)
      const other = t.consume(queue)
      await other.consumer.ready
      const again = Date.now()
      await t.brokerOf(queue).close()
      between('ms until the broker closed', Date.now() - again, 0, 2_000)
    },
  },
  {
    id: 'L2-deadline',
    clauses: ['L2', 'T8'],
    name: 'past its deadline close aborts the signal and gives the message back at once, at no cost of an attempt',
    async run(t) {
      const definition = t.define({ retry: fixed({ attempts: 2, delay: '1h' }) })
      const queue = await t.open(definition)
      const stuck = deferred()
      const runs = t.consume(queue, () => stuck.promise)
      const id = await queue.send({})
      await t.count('handlers started', runs.list, 1)
      await t.settled('the consumer to close', runs.consumer.close({ timeout: 200 }))
      const signal = runs.list[0]?.message.signal
      assert.equal(signal?.aborted, true)
      const reason: unknown = signal?.reason
      assert.ok(reason instanceof MsgloopError && reason.code === 'CLOSED', `expected CLOSED, saw ${reason}`)
      const next = t.consume(await t.open(definition))
      await t.count('redeliveries', next.list, 1)
      assert.equal(next.list[0]?.id, id)
      assert.equal(next.list[0]?.attempt, 1, 'closing costs no attempt')
      stuck.resolve()
      await pause(100)
      assert.equal(next.list.length, 1)
    },
  },
  {
    id: 'L2-gives-back',
    clauses: ['L2', 'T8', 'R2'],
    name: 'what was fetched ahead and not started is given back at once when its consumer closes, at attempt 1',
    async run(t) {
      const definition = t.define<number>({ lease: '30s' })
      const queue = await t.open(definition)
      await queue.sendBatch(Array.from({ length: 10 }, (_, body) => ({ body })))
      const gate = deferred()
      const runs = t.consume(queue, () => gate.promise, { concurrency: 1, prefetch: 5 })
      await t.count('handlers started', runs.list, 1)
      const next = t.consume(await t.open(definition))
      await t.count('messages beyond slot and prefetch', next.list, 4)
      const closing = runs.consumer.close()
      await t.count('messages given back', next.list, 9)
      assert.deepEqual(new Set(next.list.map(({ attempt }) => attempt)), new Set([1]))
      gate.resolve()
      await closing
      assert.equal(runs.list.length, 1)
    },
  },
  {
    id: 'L2-twice',
    clauses: ['L2', 'L3'],
    name: 'consumer and broker can be closed twice and by two callers, before they are ready too',
    async run(t) {
      const queue = await t.queue()
      const broker = t.brokerOf(queue)
      const { consumer } = t.consume(queue)
      await t.settled('both closes', Promise.all([consumer.close(), consumer.close()]))
      await consumer.close()
      const unready = t.consume(queue).consumer
      await t.settled('everything to close', Promise.all([unready.close(), broker.close(), broker.close()]))
      await broker.close()
      const untouched = await t.broker()
      await Promise.all([untouched.close(), untouched.close()])
    },
  },
  {
    id: 'L2-start-again',
    clauses: ['L2'],
    name: 'after a consumer is closed the same queue can be consumed again',
    async run(t) {
      const queue = await t.queue<number>()
      for (let n = 0; n < 5; n++) {
        const runs = t.consume(queue)
        await queue.send(n)
        await t.count('messages', runs.list, 1)
        assert.equal(runs.list[0]?.body, n)
        await runs.consumer.close()
      }
      await t.empty(queue)
    },
  },
  {
    id: 'T8-deploy',
    clauses: ['T8', 'L2', 'R1'],
    name: 'consumers that are closed and opened again under load cost no attempt, and every message is handled',
    async run(t) {
      const definition = t.define<number>({ maxDeliveries: 300 })
      const sending = await t.open(definition)
      const count = 150
      const ids = (await sending.sendBatch(Array.from({ length: count }, (_, body) => ({ body })))).map(
        ({ id }) => id,
      )
      const handled: string[] = []
      const attempts = new Set<number>()
      let more = true
      for (let deploy = 0; more; deploy++) {
        const queue = await t.open(definition)
        const runs = t.consume(queue, () => pause(3), { concurrency: 4, prefetch: deploy % 3 === 0 ? 4 : 0 })
        const goal = Math.min(count - handled.length, 12)
        await t.count('handler runs', runs.list, goal)
        await t.brokerOf(queue).close()
        handled.push(...runs.ids())
        for (const run of runs.list) attempts.add(run.attempt)
        more = handled.length < count
      }
      await t.empty(sending, 300)
      assert.equal(handled.length, count)
      assert.equal(new Set(handled).size, new Set(ids).size)
      assert.deepEqual(attempts, new Set([1]))
    },
  },
  {
    id: 'L3-closed',
    clauses: ['L3', 'E1'],
    name: 'after broker.close every call fails with CLOSED, and nothing hangs',
    async run(t) {
      const queue = await t.queue()
      const id = await queue.send('x')
      const broker = t.brokerOf(queue)
      await broker.close()
      await refused('send', () => queue.send('y'), 'CLOSED', 'rejected')
      await refused('sendBatch', () => firstOutcome(queue.sendBatch([{ body: 1 }])), 'CLOSED', 'rejected')
      await refused('receive', () => queue.receive(), 'CLOSED')
      await refused('stats', () => queue.stats(), 'CLOSED')
      await refused('verify', () => queue.verify(), 'CLOSED')
      await refused('purge', () => queue.purge(), 'CLOSED')
      await refused('delete', () => queue.delete(), 'CLOSED')
      await refused('list', () => t.deadNow(queue), 'CLOSED')
      await refused('replay', () => queue.deadLetters.replay(), 'CLOSED')
      await refused('remove', () => queue.deadLetters.remove({ id }), 'CLOSED')
      await refused('connect', () => broker.connect(), 'CLOSED')
      await refused('consume', () => queue.consume(() => {}).ready, 'CLOSED')
      assert.equal((await broker.health()).status, 'down')
    },
  },
  {
    id: 'L3-order',
    clauses: ['L3', 'L2', 'S1'],
    name: 'broker.close waits for running handlers, which can still send, and for sends under way',
    async run(t) {
      const definition = t.define<string>()
      const target = t.define<string>()
      const queue = await t.open(definition)
      const broker = t.brokerOf(queue)
      const output = broker.queue(target)
      const gate = deferred()
      const problems: unknown[] = []
      const runs = t.consume(queue, async () => {
        await gate.promise
        await output
          .send('from the handler', { id: 'result' })
          .catch((error: unknown) => problems.push(error))
      })
      await queue.send('work')
      await t.count('handlers started', runs.list, 1)
      const sends = Promise.all(Array.from({ length: 20 }, (_, n) => output.send(`m${n}`)))
      const closing = broker.close()
      gate.resolve()
      await t.settled('the broker to close', closing)
      await sends
      assert.deepEqual(problems, [], 'a handler can send while its consumer drains')
      const seen = t.consume(await t.open(target))
      await t.count('messages', seen.list, 21)
      await t.empty(await t.open(definition))
    },
  },
  {
    id: 'L3-no-handles',
    clauses: ['L3', 'L7'],
    name: 'after broker.close neither timer nor socket is left of it',
    exclusive: true,
    async run(t) {
      const handles = (): string[] =>
        process
          .getActiveResourcesInfo()
          .filter((kind) => kind === 'TCPSocketWrap' || kind === 'TLSWrap' || kind === 'Timeout')
      const definition = t.define({ lease: '1s' })
      const before = handles().length
      const driver = await t.harness.openDriver()
      const broker = createBroker(driver)
      const queue = broker.queue(definition)
      const runs = t.consume(queue, () => pause(5), { handlerTimeout: '10s' })
      await queue.sendBatch([1, 2, 3].map((body) => ({ body })))
      await queue.send(4, { delay: 100 })
      await t.count('messages', runs.list, 4)
      await queue.receive({ wait: 50 })
      await broker.close()
      // One timer is the poll of this very wait.
      await t.until(
        'its handles to be gone',
        () => handles().length - before,
        (more) => more <= 1,
      )
    },
  },
]
