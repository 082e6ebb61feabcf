import assert from 'node:assert/strict'
import type { Queue } from '@msgloop/core'
import { immediate, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { between, refused, sameMembers, wrong } from '../expect.js'
import type { Runs } from '../runs.js'
import { pause } from '../wait.js'
import { deadLetterAll, keepsOrder } from './dead-letter-list.js'
import { needsDisconnect } from './needs.js'

const some = (count: number): string[] => Array.from({ length: count }, (_, n) => `e${n}`)

/** Replays again and again until each of these was handled; a replay that ended early may make it twice. */
async function finish(
  t: CaseContext,
  queue: Queue<unknown>,
  runs: Runs<unknown>,
  ids: readonly string[],
): Promise<void> {
  await t.until(
    'the rest to be replayed',
    async () => {
      await queue.deadLetters.replay()
      return new Set(runs.ids()).size
    },
    (size) => size === ids.length,
  )
  sameMembers('replayed', [...new Set(runs.ids())], ids)
}

export const replayCases: readonly Case[] = [
  {
    id: 'D6-replay',
    clauses: ['D6', 'S6', 'F2'],
    name: 'a replayed message comes again as it was, with attempt 1 and its replays counted',
    async run(t) {
      const queue = await t.queue({ retry: immediate({ attempts: 2 }) })
      const runs = t.consume(queue, (_, message) => {
        if (message.replays === 0) throw new Error('not yet')
      })
      const options = {
        headers: { tenant: 'a', 'X-Case': 'Ä' },
        key: 'k',
        correlationId: 'corr',
        causationId: 'cause',
        type: 'made',
        schemaVersion: '3',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      }
      const id = await queue.send({ n: 1 }, options)
      await t.dead(queue, 1)
      const result = await queue.deadLetters.replay()
      assert.deepEqual(result, {
        replayed: 1,
        quarantined: 0,
        kept: 0,
        failed: 0,
        reasons: { exhausted: 1 },
        errors: { Error: 1 },
      })
      await t.count('handler runs', runs.list, 3)
      const first = runs.list[0]?.message
      const replayed = runs.list[2]?.message
      assert.equal(replayed?.id, id)
      assert.equal(replayed?.attempt, 1)
      assert.equal(replayed?.replays, 1)
      assert.deepEqual(replayed?.body, { n: 1 })
      assert.deepEqual({ ...replayed?.headers }, options.headers)
      for (const field of [
        'key',
        'correlationId',
        'causationId',
        'type',
        'schemaVersion',
        'traceparent',
      ] as const)
        assert.equal(replayed?.[field], options[field], field)
      assert.deepEqual(replayed?.timestamp, first?.timestamp)
      assert.equal(replayed?.contentType, first?.contentType)
      assert.deepEqual(await t.deadNow(queue), [])
      await t.empty(queue)
    },
  },
  {
    id: 'D6-dry-run',
    clauses: ['D6'],
    name: 'a dry run counts what would be replayed, and moves nothing',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, ['t1', 't2', 'd1'])
      const result = await queue.deadLetters.replay({ error: 'Timeout*' }, { dryRun: true })
      const { replayed, kept, reasons, errors } = result
      assert.deepEqual({ replayed, kept }, { replayed: 2, kept: 1 })
      assert.deepEqual({ reasons, errors }, { reasons: { rejected: 2 }, errors: { Timeout: 2 } })
      sameMembers(
        'entries',
        (await t.deadNow(queue)).map(({ id }) => id),
        ['t1', 't2', 'd1'],
      )
      await t.empty(queue)
    },
  },
  {
    id: 'D6-filter',
    clauses: ['D6'],
    name: 'a replay moves what matches its filter, and keeps the rest where it is',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, ['t1', 'd1', 't2', 'd2'])
      const { replayed, kept } = await queue.deadLetters.replay({ error: 'Timeout*' })
      assert.deepEqual({ replayed, kept }, { replayed: 2, kept: 2 })
      const runs = t.consume(queue)
      await t.count('replayed messages', runs.list, 2)
      sameMembers('replayed', runs.ids(), ['t1', 't2'])
      sameMembers(
        'kept',
        (await t.deadNow(queue)).map(({ id }) => id),
        ['d1', 'd2'],
      )
    },
  },
  {
    id: 'D6-limit',
    clauses: ['D6'],
    name: 'a replay stops at its limit, oldest first, and the next goes on',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, some(6))
      assert.equal((await queue.deadLetters.replay({}, { limit: 2 })).replayed, 2)
      const runs = t.consume(queue)
      await t.count('replayed messages', runs.list, 2)
      if (keepsOrder(t)) sameMembers('replayed first', runs.ids(), ['e0', 'e1'])
      assert.equal((await queue.deadLetters.replay()).replayed, 4)
      await t.count('replayed messages', runs.list, 6)
      sameMembers('replayed', runs.ids(), some(6))
      assert.deepEqual(await t.deadNow(queue), [])
    },
  },
  {
    id: 'D6-rate',
    clauses: ['D6'],
    name: 'a replay goes no faster than its rate',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, some(8))
      const runs = t.consume(queue)
      const begun = Date.now()
      assert.equal((await queue.deadLetters.replay({}, { rate: 5 })).replayed, 8)
      between('ms for 8 replays at 5 in a second', Date.now() - begun, 1_000, 15_000)
      await t.count('replayed messages', runs.list, 8)
      for (const run of runs.list) {
        const within = runs.list.filter(
          (other) => other.startedAt >= run.startedAt && other.startedAt < run.startedAt + 900,
        )
        between('replays within 0.9 s', within.length, 1, 6)
      }
      await refused('a rate of 0', () => queue.deadLetters.replay({}, { rate: 0 }), 'INVALID')
      await refused(
        'an unknown option',
        () => queue.deadLetters.replay({}, wrong({ canaries: 1 })),
        'INVALID',
      )
    },
  },
  {
    id: 'D6-elsewhere',
    clauses: ['D6'],
    name: 'a replay to another queue goes there, and not to the source',
    async run(t) {
      const queue = await t.queue()
      const target = await t.queue()
      await target.receive()
      await deadLetterAll(t, queue, ['e1', 'e2'])
      assert.equal((await queue.deadLetters.replay({}, { to: target.name })).replayed, 2)
      const runs = t.consume(target)
      await t.count('messages', runs.list, 2)
      sameMembers('replayed', runs.ids(), ['e1', 'e2'])
      await t.empty(queue)
      assert.deepEqual(await t.deadNow(queue), [])
    },
  },
  {
    id: 'D6-missing-target',
    clauses: ['D6', 'D2'],
    name: 'a replay to a queue that does not exist fails, and every entry stays',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, ['e1', 'e2'])
      await refused('a replay to nowhere', () => queue.deadLetters.replay({}, { to: t.name() }), 'NOT_FOUND')
      await t.until(
        'both entries',
        () => t.deadNow(queue),
        ({ length }) => length === 2,
      )
    },
  },
  {
    id: 'D6-abort',
    clauses: ['D6'],
    name: 'a replay that is aborted loses nothing, and finishes when it is run again',
    async run(t) {
      const queue = await t.queue()
      const all = some(30)
      await deadLetterAll(t, queue, all)
      const runs = t.consume(queue)
      const controller = new AbortController()
      const replay = queue.deadLetters.replay({}, { rate: 50, signal: controller.signal })
      await t.count('replayed messages', runs.list, 3)
      controller.abort()
      const outcome: unknown = await t.settled(
        'the aborted replay to end',
        replay.catch((error: unknown) => error),
      )
      if (outcome instanceof Error)
        await refused('the aborted replay', () => Promise.reject(outcome), 'ABORTED')
      await t.until(
        'every message to be in one of the two queues',
        async () => [...runs.ids(), ...(await t.deadNow(queue)).map(({ id }) => id)],
        (seen) => seen.length === 30,
      )
      assert.ok(runs.list.length < 30, 'it did end early')
      await queue.deadLetters.replay()
      await t.count('replayed messages', runs.list, 30)
      sameMembers('replayed', runs.ids(), all)
    },
  },
  {
    id: 'D6-cut',
    clauses: ['D6', 'L4'],
    name: 'a replay whose connection is lost loses nothing, and finishes when it is run again',
    skip: needsDisconnect,
    async run(t) {
      // Long enough for a machine that stands still for a while: a lease lost early ends the replay early.
      const definition = t.define({ lease: '5s' })
      const queue = await t.open(definition)
      const all = some(30)
      await deadLetterAll(t, queue, all)
      const replaying = await t.open(definition)
      const runs = t.consume(queue)
      const replay = replaying.deadLetters.replay({}, { rate: 40 }).catch((error: unknown) => error)
      await t.count('replayed messages', runs.list, 3)
      await t.disconnect(t.brokerOf(replaying))
      await t.settled('the replay to end', replay)
      await finish(t, queue, runs, all)
    },
  },
  {
    id: 'D6-closed',
    clauses: ['D6', 'L3'],
    name: 'a replay whose broker is closed ends at once, however slow its rate, and loses nothing',
    async run(t) {
      const definition = t.define({ lease: '5s' })
      const queue = await t.open(definition)
      const all = some(20)
      await deadLetterAll(t, queue, all)
      const replaying = await t.open(definition)
      const runs = t.consume(queue)
      const replay = replaying.deadLetters.replay({}, { rate: 2 }).catch((error: unknown) => error)
      await t.count('replayed messages', runs.list, 3)
      await t.brokerOf(replaying).close({ timeout: 500 })
      const closedAt = Date.now()
      await t.settled('the replay to end', replay)
      between('ms until it ended', Date.now() - closedAt, 0, 3_000)
      await finish(t, queue, runs, all)
    },
  },
  {
    id: 'D6-again',
    clauses: ['D6', 'D1'],
    name: 'a replayed message that fails again returns with its whole history and its replays',
    async run(t) {
      const queue = await t.queue({ retry: immediate({ attempts: 2 }) })
      const runs = t.consume(queue, (_, message) => {
        throw new Error(`replay ${message.replays} attempt ${message.attempt}`)
      })
      await queue.send({})
      await t.dead(queue, 1)
      await queue.deadLetters.replay()
      await t.count('handler runs', runs.list, 4)
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.replays, 1)
      assert.equal(entry?.attemptCount, 4)
      assert.deepEqual(
        entry?.attempts.map(({ error }) => error.message),
        ['0 attempt 1', '0 attempt 2', '1 attempt 1', '1 attempt 2'].map((text) => `replay ${text}`),
      )
      assert.equal(entry?.error?.message, 'replay 1 attempt 2')
    },
  },
  {
    id: 'D6-max-replays',
    clauses: ['D6'],
    name: 'a message replayed maxReplays times is quarantined, and others are replayed all the same',
    async run(t) {
      const queue = await t.queue({ maxReplays: 2 })
      const runs = t.consume(queue, () => {
        throw new Reject('always')
      })
      await queue.send({}, { id: 'looper' })
      for (let time = 1; time <= 2; time++) {
        await t.dead(queue, 1)
        assert.equal((await queue.deadLetters.replay()).replayed, 1)
        await t.count('handler runs', runs.list, time + 1)
      }
      await t.until(
        'its return',
        () => t.deadNow(queue),
        (entries) => entries[0]?.replays === 2,
      )
      await queue.send({}, { id: 'fresh' })
      await t.dead(queue, 2)
      t.alsoDelete(queue.deadLetters.quarantine.queue.name)
      const { replayed, quarantined } = await queue.deadLetters.replay()
      assert.deepEqual({ replayed, quarantined }, { replayed: 1, quarantined: 1 })
      await t.until(
        'the fresh one to run again',
        () => runs.of('fresh').length,
        (count) => count === 2,
      )
      assert.equal(runs.of('looper').length, 3)
      const [looper] = await t.quarantined(queue, 1)
      assert.equal(looper?.id, 'looper')
      assert.equal(looper?.replays, 2)
      assert.equal((await t.dead(queue, 1))[0]?.id, 'fresh')
    },
  },
  {
    id: 'D6-two-at-once',
    clauses: ['D6'],
    name: 'two replays at once send no message twice',
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      const all = some(40)
      await deadLetterAll(t, queue, all)
      const others = await Promise.all([t.open(definition), t.open(definition)])
      const runs = t.consume(queue)
      const results = await Promise.all(others.map((other) => other.deadLetters.replay()))
      await t.until(
        'the rest to be replayed',
        async () => {
          if (results.reduce((sum, { replayed }) => sum + replayed, 0) < 40)
            results.push(await queue.deadLetters.replay())
          return runs.list.length
        },
        (count) => count >= 40,
      )
      await pause(300)
      sameMembers('replayed', runs.ids(), all)
      assert.deepEqual(await t.deadNow(queue), [])
    },
  },
]
