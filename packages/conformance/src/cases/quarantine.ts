import assert from 'node:assert/strict'
import type { Queue } from '@msgloop/core'
import { defineQueue, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import type { Runs } from '../runs.js'

interface Worn {
  readonly queue: Queue<unknown>
  readonly runs: Runs<unknown>
  readonly mend: () => void
}

/** A queue whose one dead letter was replayed as often as it may. */
async function worn(t: CaseContext): Promise<Worn> {
  const queue = await t.queue({ maxReplays: 1 })
  t.alsoDelete(queue.deadLetters.quarantine.queue.name)
  let broken = true
  const runs = t.consume(queue, (_, message) => {
    if (broken) throw new Reject(`replay ${message.replays}`)
  })
  await queue.send({ n: 1 }, { id: 'worn', key: 'k', headers: { tenant: 'a' } })
  await t.dead(queue, 1)
  assert.equal((await queue.deadLetters.replay()).replayed, 1)
  await t.until(
    'it to die again',
    () => t.deadNow(queue),
    (entries) => entries[0]?.replays === 1,
  )
  const mend = (): void => {
    broken = false
  }
  return { queue, runs, mend }
}

/** Entries that were replayed as often as they may be. */
export const quarantineCases: readonly Case[] = [
  {
    id: 'D6-quarantine',
    clauses: ['D6', 'D1'],
    name: 'a quarantined entry is all that it was, and no dead letter any more',
    async run(t) {
      const { queue } = await worn(t)
      const [before] = await t.dead(queue, 1)
      const { replayed, quarantined, failed } = await queue.deadLetters.replay()
      assert.deepEqual({ replayed, quarantined, failed }, { replayed: 0, quarantined: 1, failed: 0 })
      const [entry] = await t.quarantined(queue, 1)
      const { body: _, ...was } = before ?? assert.fail('no entry')
      const { body, ...is } = entry ?? assert.fail('no entry')
      assert.deepEqual({ ...is, bytes: [...is.bytes] }, { ...was, bytes: [...was.bytes] })
      assert.deepEqual(body(), { n: 1 })
      assert.deepEqual(await t.deadNow(queue), [])
      assert.equal((await queue.deadLetters.replay()).quarantined, 0)
    },
  },
  {
    id: 'D6-quarantine-replay',
    clauses: ['D6'],
    name: 'a quarantine can be replayed, however often its entries were',
    async run(t) {
      const { queue, runs, mend } = await worn(t)
      await queue.deadLetters.replay()
      await t.quarantined(queue, 1)
      mend()
      const { replayed, quarantined } = await queue.deadLetters.quarantine.replay()
      assert.deepEqual({ replayed, quarantined }, { replayed: 1, quarantined: 0 })
      await t.count('handler runs', runs.list, 3)
      assert.equal(runs.list[2]?.message.replays, 2)
      assert.deepEqual(await t.deadNow(queue), [])
    },
  },
  {
    id: 'D6-quarantine-as-it-is',
    clauses: ['D6', 'C2'],
    name: "with topology 'none' an entry can be quarantined, and a canary sent, all the same",
    async run(t) {
      const { queue, mend } = await worn(t)
      await queue.send({}, { id: 'fresh' })
      await t.dead(queue, 2)
      mend()
      t.alsoDelete(`${queue.name}.dlq.canary`)
      const definition = defineQueue(queue.name, { maxReplays: 1 })
      const other = await t.open(definition, { topology: 'none' })
      const result = await other.deadLetters.replay({}, { canary: 1, canaryWait: '15s' })
      const { replayed, quarantined, canary } = result
      assert.deepEqual({ replayed, quarantined }, { replayed: 1, quarantined: 1 })
      assert.equal(canary?.handled, 1)
      assert.equal((await t.quarantined(queue, 1))[0]?.id, 'worn')
    },
  },
  {
    id: 'D6-quarantine-dry-run',
    clauses: ['D6'],
    name: 'a dry run tells what would be quarantined, and quarantines nothing',
    async run(t) {
      const { queue } = await worn(t)
      const { replayed, quarantined } = await queue.deadLetters.replay({}, { dryRun: true })
      assert.deepEqual({ replayed, quarantined }, { replayed: 0, quarantined: 1 })
      assert.equal((await t.deadNow(queue)).length, 1)
    },
  },
  {
    id: 'D7-quarantine-remove',
    clauses: ['D7', 'D4'],
    name: 'a quarantine is counted and removed from like any dead-letter queue',
    async run(t) {
      const { queue } = await worn(t)
      await queue.deadLetters.replay()
      await t.quarantined(queue, 1)
      const { quarantine } = queue.deadLetters
      if (t.capabilities.stats.includes('ready'))
        await t.until(
          'it to be counted',
          () => quarantine.queue.stats(),
          ({ ready }) => ready === 1,
        )
      assert.equal(await quarantine.remove({ id: 'other' }), 0)
      assert.equal(await quarantine.remove({ id: 'worn' }), 1)
      assert.deepEqual((await quarantine.page()).entries, [])
    },
  },
]
