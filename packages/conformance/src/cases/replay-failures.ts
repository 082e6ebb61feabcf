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
): Promise<{ readonly kept: Queue<unknown>; readonly gone: Queue<unknown> }> {
  const broker = await t.broker()
  const deadLetter = `${t.name()}.dlq`
  const [kept, gone] = [t.name(), t.name()].map((name) =>
    broker.queue<unknown>(defineQueue(name, { deadLetter })),
  )
  assert.ok(kept && gone)
  const reject = (): never => {
    throw new Reject('no')
  }
  const consumers = [kept, gone].map((queue) => t.consume(queue, reject, { concurrency: 1 }))
  for (const id of entries) await (id.startsWith('kept') ? kept : gone).send({}, { id })
  await t.dead(kept, entries.length)
  await Promise.all(consumers.map(({ consumer }) => consumer.close()))
  return { kept, gone }
}

export const replayFailureCases: readonly Case[] = [
  {
    id: 'D6-some-fail',
    clauses: ['D6', 'D2'],
    name: 'a replay goes on past entries whose queue is gone, tells how many failed, and leaves those where they are',
    async run(t) {
      const { kept, gone } = await shared(t, ['gone-1', 'kept-1', 'gone-2', 'kept-2', 'kept-3'])
      await gone.delete()
      const result = await kept.deadLetters.replay()
      assert.deepEqual(result, { replayed: 3, kept: 0, failed: 2, reasons: { rejected: 5 } })
      const runs = t.consume(kept)
      await t.count('replayed messages', runs.list, 3)
      sameMembers('replayed', runs.ids(), ['kept-1', 'kept-2', 'kept-3'])
      sameMembers('left', ids(await t.dead(kept, 2)), ['gone-1', 'gone-2'])
      await refused('a replay of which nothing succeeds', () => kept.deadLetters.replay(), 'NOT_FOUND')
      await gone.receive()
      await t.until(
        'the rest to be replayed',
        async () => (await kept.deadLetters.replay()).replayed,
        (replayed) => replayed === 2,
      )
      const late = t.consume(gone)
      await t.count('replayed messages', late.list, 2)
      sameMembers('replayed', late.ids(), ['gone-1', 'gone-2'])
      assert.deepEqual(await t.deadNow(kept), [])
    },
  },
]
