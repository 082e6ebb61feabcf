import assert from 'node:assert/strict'
import type { Inbox } from '@msgloop/core'
import { immediate, MsgloopError, systemClock } from '@msgloop/core'
import { abandon } from '../abandon.js'
import type { Case } from '../case.js'
import { bedOf, OnceRuns } from '../exactly-once-runs.js'
import { deferred, pause } from '../wait.js'
import { all, needsInbox, needsInboxTransaction, needsRenewable } from './needs.js'

const YEAR_MS = 365 * 86_400_000

export const exactlyOnceTroubleCases: readonly Case[] = [
  {
    id: 'X3-find',
    clauses: ['X3'],
    name: 'an inbox finds what was committed, by any client, and nothing else',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t)
      const [one, two] = [await runs.inbox(), await runs.inbox()]
      await one.check()
      await two.check()
      const mark = (id: string) => ({ queue: runs.queue.name, id })
      await one.run(mark('committed'), async () => {}, t.signal)
      await assert.rejects(
        one.run(mark('failed'), () => Promise.reject(new Error('no')), t.signal),
        { message: 'no' },
      )
      assert.equal(await two.find(mark('committed'), t.signal), 'marked')
      assert.equal(await two.find(mark('failed'), t.signal), 'unmarked')
      assert.equal(await two.find(mark('never seen'), t.signal), 'unmarked')
    },
  },
  {
    id: 'X3-aborted',
    clauses: ['X3', 'R7'],
    name: 'a run whose signal aborts before the commit is rolled back, whatever its handler goes on to do',
    skip: needsInboxTransaction,
    async run(t) {
      const runs = await OnceRuns.open(t)
      const inbox = await runs.inbox()
      await inbox.check()
      const mark = { queue: runs.queue.name, id: 'one' }
      const stop = new AbortController()
      const lost = new MsgloopError('LEASE_LOST', 'the lease is lost')
      const over = deferred()
      const run = inbox.run(
        mark,
        async (tx) => {
          await bedOf(t).effect(tx, runs.key('one'))
          stop.abort(lost)
          await pause(100)
          await bedOf(t)
            .effect(tx, runs.key('one'))
            .catch(() => {})
          over.resolve()
        },
        stop.signal,
      )
      await assert.rejects(run, (error) => error === lost)
      await over.promise
      assert.equal(await inbox.find(mark, t.signal), 'unmarked')
      assert.equal(await runs.effects('one'), 0)
      assert.equal(await inbox.run(mark, (tx) => bedOf(t).effect(tx, runs.key('one')), t.signal), 'committed')
      assert.equal(await runs.effects('one'), 1)
    },
  },
  {
    id: 'X3-lease-lost',
    clauses: ['X3', 'R7'],
    name: 'a handler that goes on after its lease is lost commits nothing; the redelivery does',
    skip: all(needsInboxTransaction, needsRenewable),
    async run(t) {
      const runs = await OnceRuns.open(t, { lease: '1s', maxLease: '1s' })
      await runs.consume(async (message, nth, effect) => {
        await effect()
        if (nth > 1) return
        await t.until('the signal to abort', () => message.signal.aborted, Boolean)
        await effect().catch(() => {})
      })
      const id = await runs.queue.send({})
      await runs.ended(1)
      assert.ok(runs.started.length >= 2)
      assert.equal(runs.mostBeside <= 2, true)
      assert.equal(await runs.effects(id), 1)
    },
  },
  {
    id: 'X3-handler-timeout',
    clauses: ['X3', 'L7'],
    name: 'a handler that did not end in time has failed: what it does afterwards is not committed',
    skip: needsInboxTransaction,
    async run(t) {
      const runs = await OnceRuns.open(t)
      const late = deferred()
      await runs.consume(
        async (_message, nth, effect) => {
          await effect()
          if (nth > 1) return
          await pause(400)
          await effect().catch(() => {})
          late.resolve()
        },
        { handlerTimeout: '200ms' },
      )
      const id = await runs.queue.send({})
      assert.deepEqual(await runs.ended(1), ['acked'])
      await late.promise
      assert.ok(runs.attempts.length >= 2)
      assert.equal(await runs.effects(id), 1)
    },
  },
  {
    id: 'X3-expired',
    clauses: ['X3', 'W2'],
    name: 'a handled message that comes again past its expiry is acked, not dead-lettered',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t)
      const inbox = await runs.inbox()
      await inbox.check()
      await inbox.run({ queue: runs.queue.name, id: 'handled' }, async () => {}, t.signal)
      const clock = { ...systemClock, now: () => Date.now() + 60_000 }
      await runs.consume(undefined, {}, { clock })
      await runs.queue.send({}, { id: 'handled', ttl: '30s' })
      await runs.queue.send({}, { id: 'new', ttl: '30s' })
      assert.deepEqual((await runs.ended(2)).sort(), ['acked', 'expired'])
      assert.deepEqual(runs.started, [])
      const [entry] = await t.dead(runs.queue, 1)
      assert.equal(entry?.id, 'new')
    },
  },
  {
    id: 'X3-crash-loop',
    clauses: ['X3', 'R9'],
    name: 'a handled message that was handed over too often is acked, not dead-lettered',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t, {
        retry: immediate({ attempts: 1 }),
        maxDeliveries: 1,
        lease: '1s',
      })
      const inbox = await runs.inbox()
      await inbox.check()
      await inbox.run({ queue: runs.queue.name, id: 'handled' }, async () => {}, t.signal)
      const spec = await t.declare({ ...runs.definition, guarantee: 'at-least-once' })
      await runs.queue.send({}, { id: 'handled' })
      await abandon(t, spec)
      await runs.consume()
      assert.deepEqual(await runs.ended(1), ['acked'])
      assert.deepEqual(runs.started, [])
    },
  },
  {
    id: 'X3-inbox-out-of-reach',
    clauses: ['X3', 'T1'],
    name: 'an inbox that is out of reach costs no attempt: messages wait, and are handled when it is back',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t, { retry: immediate({ attempts: 1 }) })
      const real = await runs.inbox()
      let failing = 4
      const shaky: Inbox<unknown> = {
        name: real.name,
        check: () => real.check(),
        find: (mark, signal) => real.find(mark, signal),
        async run(mark, work, signal) {
          if (failing-- > 0) throw new MsgloopError('UNREACHABLE', 'out of reach', { retryable: true })
          return await real.run(mark, work, signal)
        },
      }
      await runs.consumeBy(shaky)
      const id = await runs.queue.send({})
      assert.deepEqual(await runs.ended(1), ['acked'])
      assert.deepEqual(runs.attempts, [1])
      assert.equal(await runs.effects(id), 1)
      assert.equal(runs.troubles.length, 4, 'and each time somebody is told')
    },
  },
  {
    id: 'X3-clock',
    clauses: ['X3'],
    name: 'a process whose clock is a year ahead, or behind, handles nothing twice',
    skip: needsInbox,
    async run(t) {
      const runs = await OnceRuns.open(t)
      for (const offset of [0, YEAR_MS, -YEAR_MS])
        await runs.consume(undefined, {}, { clock: { ...systemClock, now: () => Date.now() + offset } })
      for (let i = 0; i < 12; i++) await runs.queue.send({}, { id: `${i % 4}` })
      await runs.ended(12)
      for (let i = 0; i < 4; i++) assert.equal(await runs.effects(`${i}`), 1)
    },
  },
  {
    id: 'X3-storm',
    clauses: ['X3'],
    name: 'of 60 messages, each sent three times to three processes that fail at random, each has its effect once',
    skip: needsInboxTransaction,
    timeoutMs: 40_000,
    async run(t) {
      const runs = await OnceRuns.open(t, { retry: immediate({ attempts: 200 }), maxDeliveries: 300 })
      for (let each = 0; each < 3; each++)
        await runs.consume(async (_message, _nth, effect) => {
          if (t.random() < 0.15) throw new Error('before the effect')
          await effect()
          if (t.random() < 0.15) throw new Error('after the effect')
        })
      const ids = Array.from({ length: 60 }, (_, i) => `m${i}`)
      await runs.queue.sendBatch([...ids, ...ids, ...ids].map((id) => ({ body: {}, id })))
      await runs.ended(180)
      assert.equal(runs.mostBeside, 1)
      for (const id of ids) assert.equal(await runs.effects(id), 1, `effects of ${id}`)
    },
  },
]
