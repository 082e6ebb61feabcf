import assert from 'node:assert/strict'
import { Reject } from '@msgloop/core'
import { DriverError } from '@msgloop/core/driver'
import type { Case } from '../case.js'
import { decorate } from '../decorate.js'
import { refused, sameBytes, wrong } from '../expect.js'
import { deadLetterAll } from './dead-letter-list.js'

/** Dead letters that are sent again as other messages. */
export const deadLetterEditCases: readonly Case[] = [
  {
    id: 'D6-edit',
    clauses: ['D6', 'F2'],
    name: 'an entry is edited into a new message that names it, and is gone',
    async run(t) {
      const queue = await t.queue<unknown>()
      await deadLetterAll(t, queue, ['e1', 'e2'], (id) => `key-${id}`)
      const runs = t.consume(queue)
      const id = await queue.deadLetters.edit('e1', { body: { fixed: true }, headers: { by: 'ann' } })
      assert.notEqual(id, 'e1')
      await t.count('handler runs', runs.list, 1)
      const message = runs.list[0]?.message
      assert.equal(message?.id, id)
      assert.deepEqual(message?.body, { fixed: true })
      assert.deepEqual({ ...message?.headers }, { by: 'ann' })
      assert.equal(message?.causationId, 'e1')
      assert.equal(message?.correlationId, 'e1')
      assert.equal(message?.key, 'key-e1')
      assert.deepEqual([message?.attempt, message?.replays], [1, 0])
      assert.deepEqual(
        (await t.deadNow(queue)).map((entry) => entry.id),
        ['e2'],
      )
    },
  },
  {
    id: 'D6-edit-lineage',
    clauses: ['D6', 'D1'],
    name: 'an edited message that dies again tells from which it came, however often',
    async run(t) {
      const queue = await t.queue()
      t.consume(queue, () => {
        throw new Reject('never')
      })
      const first = await queue.send('one')
      await t.dead(queue, 1)
      const second = await queue.deadLetters.edit(first, { body: 'two' })
      const [again] = await t.until(
        'it to die again',
        () => t.deadNow(queue),
        (entries) => entries[0]?.id === second,
      )
      assert.deepEqual(again?.editedFrom, [first])
      assert.equal(again?.attemptCount, 1, 'its attempts are its own')
      const third = await queue.deadLetters.edit(second, { body: 'three' })
      const [last] = await t.until(
        'it to die once more',
        () => t.deadNow(queue),
        (entries) => entries[0]?.id === third,
      )
      assert.deepEqual(last?.editedFrom, [second, first])
      assert.equal(last?.correlationId, first)
    },
  },
  {
    id: 'D6-edit-headers',
    clauses: ['D6', 'M1'],
    name: 'an edit of the headers alone leaves every byte of the body, also of one that cannot be decoded',
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      const body = Buffer.from([0x7b, 0xff, 0x00, 0xc3, 0x28])
      t.consume(queue)
      const spec = await t.declare(definition)
      await t.sendRaw(spec, [{ id: 'raw', body, contentType: 'application/json', headers: { a: '1' } }])
      await t.dead(queue, 1)
      const id = await queue.deadLetters.edit('raw', { headers: { b: '2' } })
      const [entry] = await t.until(
        'it to be undecodable again',
        () => t.deadNow(queue),
        (entries) => entries[0]?.id === id,
      )
      sameBytes('body', entry?.bytes ?? Buffer.alloc(0), body)
      assert.deepEqual({ ...entry?.headers }, { b: '2' })
      assert.equal(entry?.reason, 'undecodable')
    },
  },
  {
    id: 'D6-edit-refused',
    clauses: ['D6', 'S4'],
    name: 'an edit that cannot be is refused, and its entry stays',
    async run(t) {
      const queue = await t.queue()
      await deadLetterAll(t, queue, ['e1'])
      const edit = (id: string, change: object) => () => queue.deadLetters.edit(id, wrong(change))
      await refused('an unknown id', edit('e9', { body: 1 }), 'NOT_FOUND')
      await refused('no change', edit('e1', {}), 'INVALID')
      await refused('an unknown change', edit('e1', { id: 'other' }), 'INVALID')
      await refused('a reserved header', edit('e1', { headers: { 'msgloop-x': '1' } }), 'INVALID')
      const large = 'x'.repeat(t.capabilities.limits.bodyBytes)
      await refused('too large a body', edit('e1', { body: large }), 'TOO_LARGE')
      assert.equal((await t.dead(queue, 1))[0]?.id, 'e1')
      await t.empty(queue)
    },
  },
  {
    id: 'D6-edit-unsent',
    clauses: ['D6', 'D2'],
    name: 'an entry stays when its edited message cannot be sent',
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      await deadLetterAll(t, queue, ['e1'])
      const deaf = await t.open(definition, {
        wrap: (driver) =>
          decorate(driver, {
            sender: () => ({
              send: async () => {
                throw new DriverError('DENIED', 'no permission to send', { outcome: 'rejected' })
              },
            }),
          }),
      })
      await refused('the edit', () => deaf.deadLetters.edit('e1', { body: 2 }), 'DENIED')
      assert.equal((await t.dead(queue, 1))[0]?.id, 'e1')
    },
  },
]
