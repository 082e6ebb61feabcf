import assert from 'node:assert/strict'
import type { Queue } from '@msgloop/core'
import { defineQueue, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { refused, sameMembers } from '../expect.js'

const ids = (entries: readonly { readonly id: string }[]): string[] => entries.map(({ id }) => id)

/** Two queues with one dead-letter queue, which holds the entries named, each of the queue its name begins with. */
async function shared(
  t: CaseContext,
  entries: readonly string[],
): Promise<{ readonly first: Queue<unknown>; readonly second: Queue<unknown> }> {
  const broker = await t.broker()
  const deadLetter = `${t.name()}.dlq`
  const [first, second] = [t.name(), t.name()].map((name) =>
    broker.queue<unknown>(defineQueue(name, { deadLetter })),
  )
  assert.ok(first && second)
  const reject = (): never => {
    throw new Reject('no')
  }
  const consumers = [first, second].map((queue) => t.consume(queue, reject, { concurrency: 1 }))
  for (const id of entries) await (id.startsWith('first') ? first : second).send({}, { id })
  await t.dead(first, entries.length)
  await Promise.all(consumers.map(({ consumer }) => consumer.close()))
  return { first, second }
}

/** Replays of a dead-letter queue that two queues share. */
export const replaySharedCases: readonly Case[] = [
  {
    id: 'D6-own-source',
    clauses: ['D6'],
    name: 'entries of a shared dead-letter queue each go back to the queue they came from',
    async run(t) {
      const { first, second } = await shared(t, ['first-1', 'second-1'])
      assert.equal((await first.deadLetters.replay()).replayed, 2)
      for (const [queue, id] of [
        [first, 'first-1'],
        [second, 'second-1'],
      ] as const) {
        const [delivery] = await queue.receive({ wait: '5s' })
        assert.equal(delivery?.id, id)
        await delivery?.ack()
      }
    },
  },
  {
    id: 'D6-some-fail',
    clauses: ['D6', 'D2'],
    name: 'a replay goes on past entries whose queue is gone, tells how many failed, and leaves those where they are',
    async run(t) {
      const { first, second } = await shared(t, ['second-1', 'first-1', 'second-2', 'first-2', 'first-3'])
      await second.delete()
      const result = await first.deadLetters.replay()
      const { replayed, kept, failed, reasons } = result
      assert.deepEqual(
        { replayed, kept, failed, reasons },
        { replayed: 3, kept: 0, failed: 2, reasons: { rejected: 5 } },
      )
      const runs = t.consume(first)
      await t.count('replayed messages', runs.list, 3)
      sameMembers('replayed', runs.ids(), ['first-1', 'first-2', 'first-3'])
      sameMembers('left', ids(await t.dead(first, 2)), ['second-1', 'second-2'])
      await refused('a replay of which nothing succeeds', () => first.deadLetters.replay(), 'NOT_FOUND')
      await second.receive()
      let moved = 0
      await t.until(
        'the rest to be replayed',
        async () => {
          moved += (await first.deadLetters.replay()).replayed
          return moved
        },
        (count) => count === 2,
      )
      const late = t.consume(second)
      await t.count('replayed messages', late.list, 2)
      sameMembers('replayed', late.ids(), ['second-1', 'second-2'])
      assert.deepEqual(await t.deadNow(first), [])
    },
  },
  {
    id: 'D6-limit-past-failures',
    clauses: ['D6'],
    name: 'entries whose queue is gone do not use up the limit of a replay: those behind them are replayed',
    async run(t) {
      const { first, second } = await shared(t, ['second-1', 'second-2', 'first-1', 'first-2', 'first-3'])
      await second.delete()
      assert.equal((await first.deadLetters.replay({}, { limit: 2 })).replayed, 2)
      const runs = t.consume(first)
      await t.count('replayed messages', runs.list, 2)
      assert.equal((await t.dead(first, 3)).length, 3)
    },
  },
]
