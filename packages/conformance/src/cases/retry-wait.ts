import assert from 'node:assert/strict'
import { exponential, fixed, immediate, RetryAfter } from '@msgloop/core'
import type { Case } from '../case.js'
import { between, sameMembers } from '../expect.js'
import { notEarly, notLate, onTime, watchStalls } from '../tolerance.js'
import { needsDisconnect } from './needs.js'

export const retryWaitCases: readonly Case[] = [
  {
    id: 'T2-delay',
    clauses: ['T2'],
    name: 'each retry comes no earlier than its delay, and no later than the tolerance',
    exclusive: true,
    async run(t) {
      const queue = await t.queue({ retry: exponential({ attempts: 4, from: 100, factor: 2.5 }) })
      const stalls = watchStalls()
      const runs = t.consume(queue, (_, message) => {
        if (message.attempt < 4) throw new Error('not yet')
      })
      await queue.sendBatch([{ body: 1 }, { body: 2 }, { body: 3 }])
      await t.count('handler runs', runs.list, 12)
      for (const id of new Set(runs.ids())) {
        const list = runs.of(id)
        for (const [n, delay] of [100, 250, 625].entries()) {
          const waited = (list[n + 1]?.startedAt ?? 0) - (list[n]?.endedAt ?? 0)
          onTime(`ms before attempt ${n + 2}`, waited, delay, t.capabilities, stalls)
        }
      }
      stalls.stop()
    },
  },
  {
    id: 'T2-at-once',
    clauses: ['T2'],
    name: 'a retry without delay comes at once',
    exclusive: true,
    async run(t) {
      const queue = await t.queue({ retry: immediate({ attempts: 4 }) })
      const stalls = watchStalls()
      const runs = t.consume(queue, (_, message) => {
        if (message.attempt < 4) throw new Error('not yet')
      })
      await queue.send({})
      await t.count('handler runs', runs.list, 4)
      for (let n = 1; n < 4; n++) {
        const waited = (runs.list[n]?.startedAt ?? 0) - (runs.list[n - 1]?.endedAt ?? 0)
        notLate(`ms before attempt ${n + 1}`, waited, 250 + stalls.longestMs())
      }
      stalls.stop()
    },
  },
  {
    id: 'T2-jitter',
    clauses: ['T2'],
    name: 'jitter takes its random part off the delay, within its bounds',
    async run(t) {
      const { delayResolutionMs } = t.capabilities.limits
      const round = (ms: number): number => Math.ceil(ms / delayResolutionMs) * delayResolutionMs
      const retry = exponential({ attempts: 3, from: 400, factor: 2, jitter: true })
      for (const random of [0, 0.5, 0.999_999]) {
        const queue = await t.queue({ retry }, { random: () => random })
        const events = t.events(queue.name)
        const runs = t.consume(queue, (_, message) => {
          if (message.attempt < 3) throw new Error('not yet')
        })
        await queue.send({})
        await t.count('handler runs', runs.list, 3)
        const expected = [400, 800].map((ms) => ms * (1 - 0.5 * random))
        assert.deepEqual(
          events.filter(({ step }) => step === 'retried').map(({ delayMs }) => delayMs),
          expected.map(round),
        )
        for (const [n, delay] of expected.entries())
          notEarly(
            'ms before the retry',
            (runs.list[n + 1]?.startedAt ?? 0) - (runs.list[n]?.endedAt ?? 0),
            delay,
          )
      }
      const spread = await t.queue<number>({ retry }, { random: t.random })
      const events = t.events(spread.name)
      const runs = t.consume(spread, (_, message) => {
        if (message.attempt < 2) throw new Error('not yet')
      })
      await spread.sendBatch(Array.from({ length: 30 }, (_, body) => ({ body })))
      await t.count('handler runs', runs.list, 60)
      const delays = events.filter(({ step }) => step === 'retried').map(({ delayMs = 0 }) => delayMs)
      for (const delay of delays) between('a delay with jitter', delay, 200, round(400))
      if (delayResolutionMs <= 10)
        assert.ok(new Set(delays).size > 5, `delays are spread, saw ${[...new Set(delays)]}`)
    },
  },
  {
    id: 'T3-consumer-gone',
    clauses: ['T3', 'T9'],
    name: 'a pending retry is in the broker: it comes to another process when the first is gone, and not early',
    async run(t) {
      const definition = t.define({ retry: fixed({ attempts: 3, delay: 700 }) })
      const queue = await t.open(definition)
      const events = t.events(definition.name)
      const runs = t.consume(queue, () => Promise.reject(new Error('not here')))
      const id = await queue.send({ n: 1 }, { headers: { a: 'b' } })
      await t.until(
        'the retry to be stored',
        () => events.some(({ step }) => step === 'retried'),
        (stored) => stored,
      )
      await t.brokerOf(queue).close()
      const next = t.consume(await t.open(definition))
      await t.count('retries', next.list, 1)
      const [retry] = next.list
      assert.equal(retry?.id, id)
      assert.equal(retry?.attempt, 2)
      assert.deepEqual(retry?.body, { n: 1 })
      notEarly('ms before the retry', (retry?.startedAt ?? 0) - (runs.list[0]?.endedAt ?? 0), 700)
    },
  },
  {
    id: 'T3-disconnect',
    clauses: ['T3', 'L4'],
    name: 'a pending retry survives the loss of every connection of its consumer',
    skip: needsDisconnect,
    async run(t) {
      const queue = await t.queue({ retry: fixed({ attempts: 3, delay: 800 }) })
      const events = t.events(queue.name)
      const runs = t.consume(queue, (_, message) => {
        if (message.attempt === 1) throw new Error('not yet')
      })
      const id = await queue.send({})
      await t.until(
        'the retry to be stored',
        () => events.some(({ step }) => step === 'retried'),
        (stored) => stored,
      )
      await t.disconnect(t.brokerOf(queue))
      // An ack that nobody confirms may be lost with the connection: then the first attempt comes again.
      await t.until(
        'the retry',
        () => runs.list.some(({ attempt }) => attempt === 2),
        (seen) => seen,
      )
      assert.deepEqual(new Set(runs.ids()), new Set([id]))
      await runs.consumer.close()
    },
  },
  {
    id: 'T4-others',
    clauses: ['T4'],
    name: 'a message waiting for its retry holds up no other message, even with concurrency 1',
    async run(t) {
      const queue = await t.queue<string>({ retry: fixed({ attempts: 2, delay: 3_000 }) })
      const runs = t.consume(
        queue,
        (body, message) => {
          if (body === 'fails' && message.attempt === 1) throw new Error('later')
        },
        { concurrency: 1 },
      )
      await queue.send('fails', { id: 'fails' })
      await t.count('handler runs', runs.list, 1)
      for (let n = 0; n < 20; n++) await queue.send('passes', { id: `m${n}` })
      await t.count('handler runs', runs.list, 22)
      assert.equal(runs.ids().at(-1), 'fails', `the others came first, saw ${runs.ids()}`)
    },
  },
  {
    id: 'T4-shorter',
    clauses: ['T4'],
    name: 'a long retry holds up no shorter one that began later',
    async run(t) {
      const { delayResolutionMs } = t.capabilities.limits
      const long = 3_000 + delayResolutionMs
      const queue = await t.queue<number>({ retry: fixed({ attempts: 2, delay: 100 }) })
      const failed = new Set<string>()
      const runs = t.consume(queue, (body, message) => {
        if (message.attempt > 1) return
        failed.add(message.id)
        throw new RetryAfter(body)
      })
      await queue.send(long, { id: 'long' })
      await t.until(
        'the long one to fail',
        () => failed.has('long'),
        (has) => has,
      )
      for (const [n, delay] of [100, 400, 800].entries()) await queue.send(delay, { id: `short-${n}` })
      await t.count('handler runs', runs.list, 8)
      assert.equal(runs.ids().at(-1), 'long', `the shorter ones came first, saw ${runs.ids()}`)
    },
  },
  {
    id: 'T4-waiting-300',
    clauses: ['T4', 'T1'],
    name: '300 messages waiting for their retry do not stall the queue, and each comes back once',
    exclusive: true,
    timeoutMs: 40_000,
    async run(t) {
      const queue = await t.queue<number>({ retry: fixed({ attempts: 2, delay: 5_000 }) })
      const events = t.events(queue.name)
      const runs = t.consume(queue, (body, message) => {
        if (body >= 0 && message.attempt === 1) throw new Error('later')
      })
      const sent = await queue.sendBatch(Array.from({ length: 300 }, (_, body) => ({ body })))
      await t.until(
        'all 300 to wait',
        () => events.filter(({ step }) => step === 'retried').length,
        (count) => count === 300,
      )
      await queue.sendBatch(Array.from({ length: 50 }, (_, n) => ({ body: -1 - n })))
      await t.until(
        'the fresh messages',
        () => runs.list.filter(({ body }) => body < 0).length,
        (count) => count === 50,
      )
      const early = runs.list.filter((run) => run.attempt === 2).length
      assert.equal(early, 0, 'the fresh messages did not wait for the retries')
      await t.count('handler runs', runs.list, 650)
      await t.empty(queue)
      sameMembers(
        'retried',
        runs.list.filter((run) => run.attempt === 2).map(({ id }) => id),
        sent.map(({ id }) => id ?? ''),
      )
    },
  },
]
