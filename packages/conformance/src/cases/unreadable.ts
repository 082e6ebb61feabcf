import assert from 'node:assert/strict'
import { defineQueue, immediate, MsgloopError } from '@msgloop/core'
import type { Case } from '../case.js'
import { sameBytes, sameMembers } from '../expect.js'
import { numberSchema } from '../schema.js'
import { needsForeign } from './needs.js'

export const unreadableCases: readonly Case[] = [
  {
    id: 'M4-foreign-json',
    clauses: ['M4', 'M3'],
    name: 'a message of another client is received with its native id and headers, its JSON read with and without a content type',
    skip: needsForeign,
    async run(t) {
      const definition = t.define<unknown>()
      await t.declare(definition)
      const body = Buffer.from('{"from":"elsewhere"}')
      await t.harness.sendForeign?.(definition.name, {
        id: 'f-1',
        body,
        headers: { a: 'ä' },
        type: 'made',
        correlationId: 'c',
      })
      await t.harness.sendForeign?.(definition.name, { id: 'f-2', body, contentType: 'application/json' })
      const runs = t.consume(await t.open(definition))
      await t.count('messages', runs.list, 2)
      sameMembers('ids', runs.ids(), ['f-1', 'f-2'])
      for (const run of runs.list) {
        assert.deepEqual(run.body, { from: 'elsewhere' })
        assert.equal(run.attempt, 1)
      }
      const message = runs.of('f-1')[0]?.message
      assert.equal(message?.headers.a, 'ä')
      assert.equal(message?.type, 'made')
      assert.equal(message?.correlationId, 'c')
    },
  },
  {
    id: 'M4-foreign-bytes',
    clauses: ['M4'],
    name: 'a message of another client that names no content type and is not JSON arrives as bytes',
    skip: needsForeign,
    async run(t) {
      const definition = t.define<unknown>()
      await t.declare(definition)
      const body = Buffer.from([0xff, 0x00, 0x7b])
      await t.harness.sendForeign?.(definition.name, { id: 'f-1', body })
      await t.harness.sendForeign?.(definition.name, {
        id: 'f-2',
        body,
        contentType: 'application/octet-stream',
      })
      const runs = t.consume(await t.open(definition))
      await t.count('messages', runs.list, 2)
      for (const run of runs.list) {
        assert.ok(run.body instanceof Uint8Array, 'the body arrives as bytes')
        sameBytes('body', run.body, body)
      }
    },
  },
  {
    id: 'M4-foreign-life',
    clauses: ['M4', 'T1', 'D1', 'S6'],
    name: 'a message of another client is retried, dead-lettered and replayed like any other, even without an id',
    skip: needsForeign,
    async run(t) {
      const definition = t.define<unknown>({ retry: immediate({ attempts: 2 }) })
      await t.declare(definition)
      await t.harness.sendForeign?.(definition.name, { body: Buffer.from('7'), headers: { tenant: 'a' } })
      const queue = await t.open(definition)
      const runs = t.consume(queue, (_, message) => {
        if (message.replays === 0) throw new Error('not yet')
      })
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.headers.tenant, 'a')
      sameBytes('bytes', entry?.bytes ?? new Uint8Array(), Buffer.from('7'))
      await queue.deadLetters.replay()
      await t.count('handler runs', runs.list, 3)
      assert.equal(new Set(runs.ids()).size, 1, 'the id is the same in every run')
      assert.ok(runs.ids()[0], 'there is an id')
      assert.deepEqual(
        runs.list.map((run) => run.attempt),
        [1, 2, 1],
      )
    },
  },
  {
    id: 'M5-undecodable',
    clauses: ['M5', 'D1'],
    name: 'what cannot be decoded never reaches the handler, is never retried, and is dead-lettered with its bytes',
    async run(t) {
      const definition = t.define<unknown>({ retry: immediate({ attempts: 5 }) })
      const spec = await t.declare(definition)
      const bodies = ['{"cut": ', '', '\xff\xfe', 'NaN', '['.repeat(100_000)].map((body) =>
        Buffer.from(body, 'latin1'),
      )
      await t.sendRaw(
        spec,
        bodies.map((body, n) => ({
          id: `bad-${n}`,
          body,
          headers: { n: `${n}` },
          contentType: 'application/json',
        })),
      )
      const queue = await t.open(definition)
      const runs = t.consume(queue)
      const entries = await t.dead(queue, bodies.length)
      assert.deepEqual(runs.ids(), [], 'the handler never ran')
      assert.equal(entries.length, bodies.length)
      for (const entry of entries) {
        const n = Number(entry.headers.n)
        assert.equal(entry.id, `bad-${n}`)
        assert.equal(entry.reason, 'undecodable')
        assert.equal(entry.source, queue.name)
        sameBytes('the original bytes', entry.bytes, bodies[n] ?? new Uint8Array())
        assert.throws(
          () => entry.body(),
          (error) => error instanceof MsgloopError && error.code === 'INVALID',
        )
      }
      await t.empty(queue)
    },
  },
  {
    id: 'M5-invalid',
    clauses: ['M5', 'D1'],
    name: 'what does not match the schema never reaches the handler, is never retried, and is dead-lettered as invalid',
    async run(t) {
      const definition = t.define<unknown>()
      const sending = await t.open(definition)
      const id = await sending.send('not a number', { headers: { tenant: 'a' } })
      await sending.send(7, { id: 'good' })
      const queue = await t.open(defineQueue(definition.name, { schema: numberSchema() }))
      const runs = t.consume(queue)
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.id, id)
      assert.equal(entry?.reason, 'invalid')
      assert.equal(entry?.headers.tenant, 'a')
      assert.match(entry?.error?.message ?? '', /expected a number/)
      sameBytes('bytes', entry?.bytes ?? new Uint8Array(), Buffer.from('"not a number"'))
      await t.until(
        'the good one',
        () => runs.ids(),
        (ids) => ids.length > 0,
      )
      assert.deepEqual(runs.ids(), ['good'])
    },
  },
]
