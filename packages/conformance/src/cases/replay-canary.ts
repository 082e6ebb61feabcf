import assert from 'node:assert/strict'
import type { Queue } from '@msgloop/core'
import { defineQueue, immediate, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { refused, sameMembers, wrong } from '../expect.js'
import { deferred } from '../wait.js'
import { deadLetterAll } from './dead-letter-list.js'

const some = (count: number): string[] => Array.from({ length: count }, (_, n) => `e${n}`)

async function withDead(t: CaseContext, ids: readonly string[]): Promise<Queue<unknown>> {
  const queue = await t.queue({ retry: immediate({ attempts: 2 }) })
  t.alsoDelete(`${queue.name}.dlq.canary`)
  await deadLetterAll(t, queue, ids)
  return queue
}

/** Replays of which a few entries go first. */
export const replayCanaryCases: readonly Case[] = [
  {
    id: 'D6-canary',
    clauses: ['D6'],
    name: 'a canary that is handled lets the replay go on, and leaves nothing behind',
    async run(t) {
      const queue = await withDead(t, some(8))
      const open = deferred()
      const runs = t.consume(queue, () => open.promise)
      const replay = queue.deadLetters.replay({}, { canary: 3, canaryWait: '15s' })
      await t.count('messages of the canary', runs.list, 3)
      // A moment later: each is stored in its queue before it leaves the other.
      const { length } = await t.until(
        'the canary to be off the dead-letter queue',
        () => t.deadNow(queue),
        (entries) => entries.length <= 5,
      )
      assert.equal(length, 5, 'nothing more is replayed before they are handled')
      open.resolve()
      const { replayed, canary } = await t.settled('the replay to end', replay)
      assert.equal(replayed, 8)
      assert.deepEqual(canary, { replayed: 3, handled: 3, died: 0, unknown: 0, passed: true })
      await t.count('replayed messages', runs.list, 8)
      sameMembers('replayed', runs.ids(), some(8))
      await t.empty(queue)
      assert.deepEqual(await t.deadNow(queue), [])
      const driver = await t.driver()
      const receipts = { ...(await t.declare(t.define())), name: `${queue.name}.dlq.canary` }
      const gone = await driver.admin.verify({ ...receipts, role: 'dead-letter' }, t.signal)
      assert.ok(
        gone.some(({ field }) => field === undefined),
        'the queue of receipts is deleted',
      )
    },
  },
  {
    id: 'D6-canary-dies',
    clauses: ['D6'],
    name: 'a canary that dies again stops the replay: the rest stays where it is',
    async run(t) {
      const queue = await withDead(t, some(8))
      const runs = t.consume(queue, () => {
        throw new Reject('still')
      })
      const { replayed, canary } = await queue.deadLetters.replay({}, { canary: 2, canaryWait: '15s' })
      assert.equal(replayed, 2)
      assert.equal(canary?.passed, false)
      assert.ok((canary?.died ?? 0) >= 1, `died: ${canary?.died}`)
      await t.dead(queue, 8)
      assert.equal(new Set(runs.ids()).size, 2)
    },
  },
  {
    id: 'D6-canary-failures',
    clauses: ['D6'],
    name: 'as many of a canary may die as canaryFailures says',
    async run(t) {
      const queue = await withDead(t, some(6))
      const runs = t.consume(queue, (_, message) => {
        if (message.id === 'e1') throw new Reject('still')
      })
      const options = { canary: 6, canaryFailures: 1, canaryWait: '15s' } as const
      const { replayed, canary } = await queue.deadLetters.replay({}, options)
      assert.equal(replayed, 6)
      assert.deepEqual(canary, { replayed: 6, handled: 5, died: 1, unknown: 0, passed: true })
      assert.equal((await t.dead(queue, 1))[0]?.id, 'e1')
      sameMembers('handled once each', runs.ids(), some(6))
    },
  },
  {
    id: 'D6-canary-unhandled',
    clauses: ['D6'],
    name: 'a canary that nobody handles in time stops the replay, and is handled later all the same',
    async run(t) {
      const queue = await withDead(t, some(5))
      const { replayed, canary } = await queue.deadLetters.replay({}, { canary: 2, canaryWait: 300 })
      assert.equal(replayed, 2)
      assert.deepEqual(canary, { replayed: 2, handled: 0, died: 0, unknown: 2, passed: false })
      assert.equal((await t.dead(queue, 3)).length, 3)
      const runs = t.consume(queue)
      await t.count('messages', runs.list, 2)
      await runs.consumer.close()
      assert.equal((await queue.deadLetters.replay()).replayed, 3)
      const later = t.consume(queue)
      await t.count('messages', later.list, 3)
      sameMembers('handled once each', [...runs.ids(), ...later.ids()], some(5))
      assert.deepEqual([...runs.troubles, ...later.troubles], [], 'a receipt nobody waits for is no trouble')
      await later.consumer.close()
      await t.empty(queue)
    },
  },
  {
    id: 'D6-canary-retried',
    clauses: ['D6'],
    name: 'a canary whose first attempt fails has its outcome when the retry is over, in whichever process',
    async run(t) {
      const queue = await withDead(t, some(3))
      const elsewhere = await t.open(defineQueue(queue.name, { retry: immediate({ attempts: 2 }) }))
      const runs = t.consume(elsewhere, (_, message) => {
        if (message.attempt === 1) throw new Error('not at first')
      })
      const { replayed, canary } = await queue.deadLetters.replay({}, { canary: 2, canaryWait: '15s' })
      assert.deepEqual(canary, { replayed: 2, handled: 2, died: 0, unknown: 0, passed: true })
      assert.equal(replayed, 3)
      await t.count('handler runs', runs.list, 6)
    },
  },
  {
    id: 'D6-canary-by-hand',
    clauses: ['D6'],
    name: 'a canary is handled also when it was received and acked by hand',
    async run(t) {
      const queue = await withDead(t, some(2))
      const replay = queue.deadLetters.replay({}, { canary: 1, canaryWait: '15s' })
      const [delivery] = await queue.receive({ wait: '10s' })
      assert.deepEqual({ ...delivery?.headers }, { from: delivery?.id }, 'its headers are its own')
      await delivery?.ack()
      const { replayed, canary } = await t.settled('the replay to end', replay)
      assert.equal(canary?.handled, 1)
      assert.equal(replayed, 2)
      const [last] = await queue.receive({ wait: '10s' })
      await last?.ack()
      await t.empty(queue)
    },
  },
  {
    id: 'D6-canary-abort',
    clauses: ['D6'],
    name: 'a replay that is aborted while its canary is out ends at once, and the next one finishes',
    async run(t) {
      const queue = await withDead(t, some(6))
      const controller = new AbortController()
      const replay = queue.deadLetters.replay(
        {},
        {
          canary: 2,
          signal: controller.signal,
          onProgress: ({ phase }) => {
            if (phase === 'waiting') controller.abort()
          },
        },
      )
      const { canary } = await t.settled('the replay to end', replay)
      assert.equal(canary?.passed, false)
      const runs = t.consume(queue)
      assert.equal((await queue.deadLetters.replay({}, { canary: 2, canaryWait: '15s' })).replayed, 4)
      await t.count('messages', runs.list, 6)
      sameMembers('handled once each', runs.ids(), some(6))
    },
  },
  {
    id: 'D6-canary-refusals',
    clauses: ['D6', 'S4'],
    name: 'what a canary cannot be is refused before anything is moved',
    async run(t) {
      const queue = await t.queue()
      const replay = (options: object) => () => queue.deadLetters.replay({}, wrong(options))
      await refused('none', replay({ canary: 0 }), 'INVALID')
      await refused('half of one', replay({ canary: 0.5 }), 'INVALID')
      await refused('another queue', replay({ canary: 1, to: 'elsewhere' }), 'INVALID')
      await refused('failures of no canary', replay({ canaryFailures: 1 }), 'INVALID')
      await refused('a wait for no canary', replay({ canaryWait: '1s' }), 'INVALID')
      await refused('fewer than no failures', replay({ canary: 1, canaryFailures: -1 }), 'INVALID')
      await refused('a listener that is none', replay({ onProgress: 'print' }), 'INVALID')
    },
  },
]
