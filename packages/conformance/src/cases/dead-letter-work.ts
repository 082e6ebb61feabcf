import assert from 'node:assert/strict'
import { Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import { entriesOf } from '../context.js'
import { refused, sameMembers, wrong } from '../expect.js'
import { deadLetterAll } from './dead-letter-list.js'

const ids = (entries: readonly { readonly id: string }[]): string[] => entries.map(({ id }) => id)
const some = (count: number): string[] => Array.from({ length: count }, (_, n) => `e${n}`)

/** Finding, counting and removing many dead letters. */
export const deadLetterWorkCases: readonly Case[] = [
  {
    id: 'D5-filter-message',
    clauses: ['D5'],
    name: 'dead letters are filtered by type, source, headers and several reasons, with wildcards',
    async run(t) {
      const queue = await t.queue()
      t.consume(queue, () => {
        throw new Reject('no')
      })
      await queue.send({}, { id: 'a', type: 'order.made', headers: { tenant: 'acme-1', 'X-Zone': 'eu' } })
      await queue.send({}, { id: 'b', type: 'order.paid', headers: { tenant: 'acme-2' } })
      await queue.send({}, { id: 'c' })
      await t.dead(queue, 3)
      const list = async (filter: Parameters<typeof queue.deadLetters.list>[0]) =>
        ids(await entriesOf(queue, filter)).sort()
      assert.deepEqual(await list({ type: 'order.*' }), ['a', 'b'])
      assert.deepEqual(await list({ type: 'order.paid' }), ['b'])
      assert.deepEqual(await list({ source: queue.name }), ['a', 'b', 'c'])
      assert.deepEqual(await list({ source: 'elsewhere' }), [])
      assert.deepEqual(await list({ headers: { tenant: 'acme-*' } }), ['a', 'b'])
      assert.deepEqual(await list({ headers: { tenant: '*1', 'x-zone': 'eu' } }), ['a'])
      assert.deepEqual(await list({ headers: { missing: '*' } }), [])
      assert.deepEqual(await list({ reason: ['exhausted', 'rejected'] }), ['a', 'b', 'c'])
      assert.deepEqual(await list({ reason: ['exhausted', 'expired'] }), [])
      assert.deepEqual(await list({ type: 'order.*', headers: { tenant: 'acme-2' } }), ['b'])
      for (const bad of [{ reason: 'tired' }, { since: 'today' }, { until: new Date(Number.NaN) }, { id: 7 }])
        await refused(JSON.stringify(bad), () => entriesOf(queue, wrong(bad)), 'INVALID')
    },
  },
  {
    id: 'D5-cursor',
    clauses: ['D5', 'C1'],
    name: 'a long list is read page by page from where the last one ended, or that is refused',
    async run(t) {
      const queue = await t.queue()
      if (t.capabilities.browse === 'lease') {
        await refused('a cursor', () => queue.deadLetters.page({}, { cursor: '1' }), 'UNSUPPORTED')
        await deadLetterAll(t, queue, ['e1', 'e2', 'e3'])
        const page = await queue.deadLetters.page({}, { size: 2 })
        assert.equal(page.entries.length, 2)
        assert.equal(page.cursor, undefined)
        return
      }
      const all = some(23)
      await deadLetterAll(t, queue, all, (id) => (Number(id.slice(1)) % 2 === 0 ? 'even' : 'odd'))
      for (const [filter, expected] of [
        [{}, all],
        [{ key: 'odd' }, all.filter((_, n) => n % 2 === 1)],
      ] as const) {
        const seen: string[] = []
        let cursor: string | undefined
        do {
          const page = await queue.deadLetters.page(filter, {
            size: 5,
            ...(cursor !== undefined && { cursor }),
          })
          assert.ok(page.entries.length <= 5)
          seen.push(...ids(page.entries))
          cursor = page.cursor
        } while (cursor !== undefined)
        assert.deepEqual(seen, expected)
      }
    },
  },
  {
    id: 'D6-histogram',
    clauses: ['D6'],
    name: 'a replay and its dry run tell of the matching entries how many died of which reason and error',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, ['t1', 'd1', 't2', 't3'])
      const expected = { reasons: { rejected: 4 }, errors: { Timeout: 3, Declined: 1 } }
      const dry = await queue.deadLetters.replay({}, { dryRun: true })
      assert.deepEqual({ reasons: dry.reasons, errors: dry.errors }, expected)
      const two = await queue.deadLetters.replay({ error: 'Timeout*' }, { dryRun: true, limit: 2 })
      assert.deepEqual(
        { replayed: two.replayed, errors: two.errors },
        { replayed: 2, errors: { Timeout: 2 } },
      )
      const real = await queue.deadLetters.replay()
      assert.deepEqual({ reasons: real.reasons, errors: real.errors }, expected)
    },
  },
  {
    id: 'D6-progress',
    clauses: ['D6'],
    name: 'a replay tells how far it is, and what its listener throws ends it without a loss',
    async run(t) {
      const queue = await t.queue()
      const all = some(12)
      await deadLetterAll(t, queue, all)
      const stop = new Error('stop')
      const thrown = await queue.deadLetters
        .replay(
          {},
          {
            limit: 4,
            onProgress: () => {
              throw stop
            },
          },
        )
        .catch((error: unknown) => error)
      assert.equal(thrown, stop)
      const seen: number[] = []
      const { replayed } = await queue.deadLetters.replay(
        {},
        { onProgress: ({ phase, replayed: sofar }) => seen.push(phase === 'replay' ? sofar : Number.NaN) },
      )
      assert.ok(replayed >= 8 && replayed < 12, `the rest is replayed, saw ${replayed}`)
      assert.equal(seen.at(-1), replayed)
      assert.deepEqual(
        seen,
        [...seen].sort((a, b) => a - b),
      )
      const runs = t.consume(queue)
      await t.count('replayed messages', runs.list, 12)
      sameMembers('replayed', runs.ids(), all)
    },
  },
  {
    id: 'D7-remove-shown',
    clauses: ['D7'],
    name: 'removing what was shown spares what came since, also a message that died again',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, ['e1', 'e2', 'e3'])
      const shown = await t.deadNow(queue)
      await deadLetterAll(t, queue, ['e4'])
      await queue.deadLetters.replay({ id: 'e2' })
      t.consume(queue, () => {
        throw new Reject('again')
      })
      await t.until(
        'e2 to die again',
        () => t.deadNow(queue),
        (entries) => entries.length === 4,
      )
      assert.equal(await queue.deadLetters.remove(shown), 2)
      sameMembers('what is left', ids(await t.deadNow(queue)), ['e2', 'e4'])
      assert.equal(await queue.deadLetters.remove([]), 0)
      await refused(
        'a filter of nothing',
        () => queue.deadLetters.remove({ id: wrong(undefined) }),
        'INVALID',
      )
    },
  },
]
