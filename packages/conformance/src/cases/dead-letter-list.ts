import assert from 'node:assert/strict'
import type { Queue } from '@msgloop/core'
import { defineQueue, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { entriesOf } from '../context.js'
import { refused, sameMembers, wrong } from '../expect.js'
import { pause } from '../wait.js'
import { needsOrder } from './needs.js'

/** Dead-letters messages with these ids one after the other; the handler rejects with the id as the message. */
export async function deadLetterAll(
  t: CaseContext,
  queue: Queue<unknown>,
  ids: readonly string[],
  key: (id: string) => string = () => 'k',
): Promise<void> {
  const before = (await t.deadNow(queue)).length
  const runs = t.consume(
    queue,
    (_, message) => {
      throw Object.assign(new Reject(message.id), {
        name: message.id.startsWith('t') ? 'Timeout' : 'Declined',
      })
    },
    { concurrency: 1 },
  )
  for (const id of ids) await queue.send({ id }, { id, key: key(id), headers: { from: id } })
  await t.dead(queue, before + ids.length)
  await runs.consumer.close()
}

/** What is taken to be looked at is given back in the order it came. */
export function keepsOrder({ harness }: CaseContext): boolean {
  return harness.unordered === undefined
}

const ids = (entries: readonly { id: string }[]): string[] => entries.map(({ id }) => id)

export const deadLetterListCases: readonly Case[] = [
  {
    id: 'D5-look',
    clauses: ['D5'],
    name: 'looking at dead letters neither takes them nor changes their order, however often',
    async run(t) {
      const queue = await t.queue()
      const all = Array.from({ length: 12 }, (_, n) => `e${n}`)
      await deadLetterAll(t, queue, all)
      for (let time = 0; time < 4; time++) {
        const seen = ids(await t.deadNow(queue))
        if (!keepsOrder(t)) sameMembers('entries', seen, all)
        else assert.deepEqual(seen, all, `look ${time + 1}`)
      }
      const runs = t.consume(queue.deadLetters.queue, undefined, { concurrency: 1 })
      await t.count('entries consumed', runs.list, 12)
      if (!keepsOrder(t)) sameMembers('entries', runs.ids(), all)
      else assert.deepEqual(runs.ids(), all, 'their order is unchanged')
      if (t.capabilities.browse === 'free')
        assert.deepEqual(
          runs.list.map(({ deliveries }) => deliveries),
          all.map(() => runs.list[0]?.deliveries),
          'a look that takes nothing counts nothing',
        )
    },
  },
  {
    id: 'D5-look-arrival',
    clauses: ['D5'],
    name: 'an entry that arrives while a look ends keeps its place behind those that were looked at',
    skip: needsOrder,
    timeoutMs: 40_000,
    async run(t) {
      const queue = await t.queue()
      const all = Array.from({ length: 16 }, (_, n) => `e${n}`)
      const runs = t.consume(queue, (_, message) => Promise.reject(new Reject(message.id)), {
        concurrency: 1,
      })
      let sending = true
      const sent = (async () => {
        // A look is over when nothing came for half a second: entries that come just then meet its end.
        for (const id of all) {
          await queue.send({}, { id })
          await pause(490 + t.random() * 60)
        }
        sending = false
      })()
      while (sending) {
        const seen = ids(await t.deadNow(queue))
        assert.deepEqual(seen, all.slice(0, seen.length))
        await pause(5)
      }
      await sent
      await runs.consumer.close()
      assert.deepEqual(ids(await t.dead(queue, all.length)), all)
    },
  },
  {
    id: 'D5-browse',
    clauses: ['D5', 'C1'],
    name: 'a driver can look without taking exactly when it says so',
    async run(t) {
      const driver = await t.driver()
      assert.equal(typeof driver.admin.browse === 'function', driver.capabilities.browse === 'free')
      if (!driver.admin.browse) return
      const spec = await t.declare(t.define())
      await t.sendRaw(
        spec,
        Array.from({ length: 25 }, (_, n) => ({ id: `m${n}`, body: Buffer.from(`${n}`) })),
      )
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await driver.admin.browse(spec, 10, cursor, t.signal)
        assert.ok(page.entries.length <= 10, `a page holds at most 10, saw ${page.entries.length}`)
        seen.push(...page.entries.map(({ message }) => message.id))
        cursor = page.cursor
      } while (cursor !== undefined)
      assert.deepEqual(
        seen,
        Array.from({ length: 25 }, (_, n) => `m${n}`),
        'oldest first, each once',
      )
      const queue = await t.open(defineQueue(spec.name))
      const runs = t.consume(queue)
      await t.count('messages', runs.list, 25)
      assert.deepEqual(new Set(runs.list.map(({ deliveries }) => deliveries)), new Set([1]))
    },
  },
  {
    id: 'D5-free-for-others',
    clauses: ['D5'],
    name: 'what was looked at can be consumed soon after, also when the look was broken off',
    async run(t) {
      const queue = await t.queue()
      const all = Array.from({ length: 8 }, (_, n) => `e${n}`)
      await deadLetterAll(t, queue, all)
      for await (const entry of queue.deadLetters.list()) if (entry.id === 'e2' || t.harness.unordered) break
      const runs = t.consume((await t.open(defineQueue(queue.name))).deadLetters.queue)
      await t.count('entries consumed', runs.list, 8)
      sameMembers('entries', runs.ids(), all)
    },
  },
  {
    id: 'D5-filter',
    clauses: ['D5'],
    name: 'dead letters are filtered by id, error with wildcards, reason, key and time, all of them together',
    timeoutMs: 40_000,
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, ['t1', 'd1'], (id) => `key-${id}`)
      await pause(20)
      const split = new Date()
      await pause(20)
      await deadLetterAll(t, queue, ['t2', 'd2'], (id) => `key-${id}`)
      const list = async (filter: Parameters<typeof queue.deadLetters.list>[0]) =>
        ids(await entriesOf(queue, filter)).sort()
      assert.deepEqual(await list({}), ['d1', 'd2', 't1', 't2'])
      assert.deepEqual(await list({ id: 'd2' }), ['d2'])
      assert.deepEqual(await list({ id: ['t1', 'd2', 'none'] }), ['d2', 't1'])
      assert.deepEqual(await list({ error: 'Timeout' }), ['t1', 't2'])
      assert.deepEqual(await list({ error: 'Time*' }), ['t1', 't2'])
      assert.deepEqual(await list({ error: '*: ?1' }), [], 'only `*` is a wildcard')
      assert.deepEqual(await list({ error: 'Declined: d2' }), ['d2'])
      assert.deepEqual(await list({ error: '*1' }), ['d1', 't1'])
      assert.deepEqual(await list({ error: 'declined' }), [], 'letters must match in case')
      assert.deepEqual(await list({ error: '.*' }), [], 'it is no regular expression')
      assert.deepEqual(await list({ reason: 'rejected' }), ['d1', 'd2', 't1', 't2'])
      assert.deepEqual(await list({ reason: 'exhausted' }), [])
      assert.deepEqual(await list({ key: 'key-t1' }), ['t1'])
      assert.deepEqual(await list({ since: split }), ['d2', 't2'])
      assert.deepEqual(await list({ until: split }), ['d1', 't1'])
      assert.deepEqual(await list({ since: split, error: 'Timeout*' }), ['t2'])
      await refused('an unknown filter', () => entriesOf(queue, wrong({ errors: 'x' })), 'INVALID')
    },
  },
  {
    id: 'D5-page',
    clauses: ['D5'],
    name: 'a long list comes whole and each entry once, or as far as its limit, oldest first',
    timeoutMs: 60_000,
    async run(t) {
      const queue = await t.queue()
      const all = Array.from({ length: 250 }, (_, n) => `e${n}`)
      await deadLetterAll(t, queue, all)
      const whole = ids(await t.deadNow(queue))
      sameMembers('entries', whole, all)
      const ten = ids(await entriesOf(queue, {}, { limit: 10 }))
      if (!keepsOrder(t)) assert.equal(ten.length, 10)
      else assert.deepEqual(ten, all.slice(0, 10))
      await t.until(
        'all to be there again',
        () => t.deadNow(queue),
        (entries) => entries.length === 250,
      )
    },
  },
  {
    id: 'D7-remove',
    clauses: ['D7'],
    name: 'removing touches only the matching entries, and tells how many',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, ['t1', 'd1', 't2', 'd2'])
      assert.equal(await queue.deadLetters.remove({ error: 'Nothing*' }), 0)
      assert.equal(await queue.deadLetters.remove({ error: 'Timeout*' }), 2)
      sameMembers('what is left', ids(await t.deadNow(queue)), ['d1', 'd2'])
      assert.equal(await queue.deadLetters.remove({ id: 'd2' }), 1)
      sameMembers('what is left', ids(await t.deadNow(queue)), ['d1'])
      await refused('a remove without a filter', () => queue.deadLetters.remove(wrong(undefined)), 'INVALID')
    },
  },
  {
    id: 'D7-purge',
    clauses: ['D7'],
    name: 'purging removes every entry, and nothing of the queue itself',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, ['e1', 'e2', 'e3'])
      const id = await queue.send('alive')
      const count = await queue.deadLetters.purge()
      if (count !== undefined) assert.equal(count, 3)
      assert.deepEqual(await t.deadNow(queue), [])
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.equal(delivery?.id, id)
      await delivery?.ack()
    },
  },
]
