import assert from 'node:assert/strict'
import { defineQueue, fixed } from '@msgloop/core'
import type { Case } from '../case.js'
import { between, sameBytes, sameMembers } from '../expect.js'
import { notEarly, onTime, watchStalls } from '../tolerance.js'
import { pause } from '../wait.js'

export const waitingCases: readonly Case[] = [
  {
    id: 'W1-on-time',
    clauses: ['W1'],
    name: 'a delayed message arrives no earlier than its delay, and no later than the tolerance',
    exclusive: true,
    async run(t) {
      const queue = await t.queue<number>()
      await queue.receive()
      const stalls = watchStalls()
      const runs = t.consume(queue)
      await runs.consumer.ready
      const sentAt = new Map<string, number>()
      for (const delay of [100, 300, 700, 1_500]) {
        const id = `d${delay}`
        sentAt.set(id, Date.now())
        await queue.send(delay, { id, delay })
      }
      await t.count('delayed messages', runs.list, 4)
      for (const run of runs.list)
        onTime(
          `ms until the message of ${run.body} ms`,
          run.startedAt - (sentAt.get(run.id) ?? 0),
          run.body,
          t.capabilities,
          stalls,
        )
      stalls.stop()
      assert.deepEqual(
        new Set(runs.list.map(({ attempt, deliveries }) => `${attempt}/${deliveries}`)),
        new Set(['1/1']),
      )
    },
  },
  {
    id: 'W1-durable',
    clauses: ['W1', 'T9'],
    name: 'a delayed message is in the broker: it arrives though its sender is gone, whole and not early',
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      const sentAt = Date.now()
      const id = await queue.send(
        { n: 1 },
        { delay: '600ms', headers: { a: 'ä' }, key: 'k', type: 'made', correlationId: 'c' },
      )
      await t.brokerOf(queue).close()
      const runs = t.consume(await t.open(definition))
      await t.count('delayed messages', runs.list, 1)
      const [run] = runs.list
      notEarly('ms until the message', (run?.startedAt ?? 0) - sentAt, 600)
      const message = run?.message
      assert.deepEqual([message?.id, message?.body, { ...message?.headers }], [id, { n: 1 }, { a: 'ä' }])
      assert.deepEqual([message?.key, message?.type, message?.correlationId], ['k', 'made', 'c'])
    },
  },
  {
    id: 'W1-no-block',
    clauses: ['W1'],
    name: 'a long delay holds up neither messages without one nor shorter ones sent later',
    async run(t) {
      const { delayResolutionMs } = t.capabilities.limits
      const queue = await t.queue()
      const runs = t.consume(queue)
      await queue.send({}, { id: 'long', delay: 3_000 + delayResolutionMs })
      await queue.send({}, { id: 'short', delay: 200 })
      await queue.send({}, { id: 'now' })
      await t.count('messages', runs.list, 3)
      assert.deepEqual(runs.ids(), ['now', 'short', 'long'])
    },
  },
  {
    id: 'W1-longest',
    clauses: ['W1', 'C1'],
    name: 'a delay of a year is possible and takes effect, and such messages are purged where `purgesDelayed` says so',
    async run(t) {
      const { delayMs } = t.capabilities.limits
      between('limits.delayMs', delayMs, 365 * 86_400_000, Number.POSITIVE_INFINITY)
      const queue = await t.queue()
      await queue.send('in a year', { delay: '365d' })
      await queue.send('in 25 days', { delay: '25d' })
      await queue.send('as long as can be', { delay: delayMs })
      await queue.send('now', { id: 'now' })
      const [delivery] = await queue.receive({ max: 10, wait: '5s' })
      assert.equal(delivery?.id, 'now')
      await delivery?.ack()
      await t.empty(queue, 400)
      const count = await queue.purge()
      if (count !== undefined) assert.equal(count, t.capabilities.purgesDelayed ? 3 : 0)
    },
  },
  {
    id: 'C1-purges-delayed',
    clauses: ['C1', 'W1'],
    name: 'a purge takes what waits for its delay exactly where `purgesDelayed` says so',
    async run(t) {
      const queue = await t.queue()
      await queue.send('ready', { id: 'ready' })
      await queue.send('delayed', { id: 'delayed', delay: 800 })
      await queue.purge()
      if (t.capabilities.purgesDelayed) return await t.empty(queue, 1_500)
      const [delivery] = await queue.receive({ wait: '10s' })
      assert.equal(delivery?.id, 'delayed')
      await delivery?.ack()
      await t.empty(queue)
    },
  },
  {
    id: 'W2-expired',
    clauses: ['W2', 'D1'],
    name: 'an expired message never reaches a handler; it is dead-lettered as expired, and stays there',
    async run(t) {
      const queue = await t.queue()
      const id = await queue.send({ n: 1 }, { ttl: '150ms', headers: { a: 'b' } })
      await queue.send({ n: 2 }, { id: 'lasting', ttl: '1h' })
      await queue.send({ n: 3 }, { id: 'endless' })
      await pause(400)
      const runs = t.consume(queue)
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.id, id)
      assert.equal(entry?.reason, 'expired')
      assert.equal(entry?.error, undefined)
      assert.deepEqual({ ...entry?.headers }, { a: 'b' })
      sameBytes('bytes', entry?.bytes ?? new Uint8Array(), Buffer.from('{"n":1}'))
      await t.count('messages', runs.list, 2)
      sameMembers('handled', runs.ids(), ['lasting', 'endless'])
      await pause(400)
      assert.deepEqual(
        (await t.deadNow(queue)).map((dead) => dead.id),
        [id],
        'an entry does not expire',
      )
    },
  },
  {
    id: 'W2-while-waiting',
    clauses: ['W2', 'T5'],
    name: 'a message that expires while it waits for its delay or its retry is dead-lettered as expired',
    async run(t) {
      const queue = await t.queue<string>({ retry: fixed({ attempts: 3, delay: 900 }) })
      const runs = t.consume(queue, () => Promise.reject(new Error('later')))
      await queue.send('delayed', { id: 'delayed', delay: 900, ttl: 300 })
      await queue.send('retried', { id: 'retried', ttl: 600 })
      const entries = await t.dead(queue, 2)
      sameMembers(
        'entries',
        entries.map(({ id, reason }) => `${id} ${reason}`),
        ['delayed expired', 'retried expired'],
      )
      assert.deepEqual(runs.ids(), ['retried'], 'one handler ran, before the message expired')
      assert.equal(entries.find(({ id }) => id === 'retried')?.attemptCount, 1)
    },
  },
  {
    id: 'W2-replay',
    clauses: ['W2', 'D6'],
    name: 'a message that was dead-lettered as expired can be replayed to its handler',
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      const id = await queue.send({}, { ttl: '100ms' })
      await pause(300)
      const runs = t.consume(queue)
      await t.dead(queue, 1)
      await queue.deadLetters.replay()
      await t.count('handler runs', runs.list, 1)
      assert.equal(runs.list[0]?.id, id)
    },
  },
  {
    id: 'W3-due-order',
    clauses: ['W3', 'W1'],
    name: '300 messages with mixed delays arrive when they are due, each once and none early',
    exclusive: true,
    timeoutMs: 40_000,
    async run(t) {
      const definition = t.define<number>()
      const sending = await t.open(definition)
      const stalls = watchStalls()
      const runs = t.consume(await t.open(definition), undefined, { concurrency: 100 })
      await runs.consumer.ready
      const sentFrom = new Map<string, number>()
      const sends = Array.from({ length: 300 }, async (_, n) => {
        const delay = 1_000 + Math.floor(t.random() * 2_000)
        sentFrom.set(`m${n}`, Date.now())
        await sending.send(delay, { id: `m${n}`, delay })
      })
      await Promise.all(sends)
      const sentBy = Date.now()
      await t.count('delayed messages', runs.list, 300)
      await t.empty(await t.open(defineQueue(definition.name)))
      sameMembers('messages', runs.ids(), [...sentFrom.keys()])
      for (const run of runs.list) {
        const sentAt = sentFrom.get(run.id) ?? 0
        notEarly('ms until the message', run.startedAt - sentAt, run.body)
        onTime(
          'ms until the message',
          Math.max(run.body, run.startedAt - sentBy),
          run.body,
          t.capabilities,
          stalls,
        )
      }
      stalls.stop()
    },
  },
]
