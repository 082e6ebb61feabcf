import assert from 'node:assert/strict'
import type { FlowEvent, StandardSchema } from '@msgloop/core'
import { defineQueue, immediate, MsgloopError, onFlow } from '@msgloop/core'
import type { Case } from '../case.js'
import { decorate } from '../decorate.js'
import { sameMembers, wrong } from '../expect.js'
import { HOSTILE, hostile } from './hostile.js'

/** Throws what the body names: at once, later, or, for `fine`, nothing. */
const throwing: StandardSchema<unknown, string> = {
  '~standard': {
    version: 1,
    vendor: 'msgloop-conformance',
    validate(value) {
      const kind = String(value)
      if (kind === 'fine') return { value: kind }
      if (kind.startsWith('later-')) return Promise.reject(hostile(kind.slice(6)))
      throw hostile(kind)
    },
  },
}

const withLater = (kinds: readonly string[]): string[] => [...kinds, ...kinds.map((kind) => `later-${kind}`)]
const KINDS = withLater(HOSTILE)

/** Application code besides the handler that throws what cannot even be printed. */
export const hostileCodeCases: readonly Case[] = [
  {
    id: 'M5-schema-throws',
    clauses: ['M5', 'L7', 'D1'],
    name: 'whatever a schema throws, its message is dead-lettered as invalid, and the next one is handled',
    async run(t) {
      const definition = t.define<string>()
      const sending = await t.open(definition)
      for (const kind of KINDS) await sending.send(kind, { id: kind })
      await sending.send('fine', { id: 'fine' })
      const queue = await t.open(defineQueue(definition.name, { schema: throwing }))
      // A single slot: were one of them to keep it, the good one would never come.
      const runs = t.consume(queue, undefined, { concurrency: 1 })
      const entries = await t.dead(queue, KINDS.length)
      await t.count('handler runs', runs.list, 1)
      assert.deepEqual(runs.ids(), ['fine'])
      sameMembers(
        'entries',
        entries.map(({ id }) => id),
        KINDS,
      )
      for (const { id, reason, error } of entries) {
        assert.equal(reason, 'invalid', id)
        assert.match(error?.message ?? '', /its schema threw/, id)
      }
      await t.empty(queue)
    },
  },
  {
    id: 'S4-schema-throws',
    clauses: ['S4', 'E1', 'S2'],
    name: 'whatever a schema throws on send, the send is refused as INVALID, and its neighbours of a batch are sent',
    async run(t) {
      const queue = await t.queue<string>({ schema: throwing })
      const items = ['fine', ...KINDS].map((kind) => ({ body: kind, id: kind }))
      const results = await queue.sendBatch(items)
      for (const [n, result] of results.entries()) {
        const kind = items[n]?.id
        assert.equal(result.ok, kind === 'fine', `outcome of ${kind}`)
        if (result.ok) continue
        assert.ok(result.error instanceof MsgloopError, `a MsgloopError for ${kind}`)
        assert.deepEqual([result.error.code, result.error.outcome], ['INVALID', 'rejected'], kind)
      }
      const [delivery] = await queue.receive({ wait: '5s' })
      assert.equal(delivery?.id, 'fine')
      await delivery?.ack()
      await t.empty(queue)
    },
  },
  {
    id: 'S5-item-throws',
    clauses: ['S5', 'S4'],
    name: 'an item of a batch that throws when it is read is refused, and its neighbours are sent',
    async run(t) {
      const queue = await t.queue<string>()
      const results = await queue.sendBatch([
        { body: 'fine', id: 'fine' },
        wrong(hostile('proxy')),
        { body: 'fine', id: 'fine-too' },
      ])
      assert.deepEqual(
        results.map((result) => (result.ok ? result.id : result.error.code)),
        ['fine', 'INVALID', 'fine-too'],
      )
      const runs = t.consume(queue)
      await t.count('messages', runs.list, 2)
    },
  },
  {
    id: 'L7-listener-throws',
    clauses: ['L7'],
    name: 'whatever an onError throws, the trouble it was told of ends as it would have: every message is settled',
    async run(t) {
      const thrown: unknown[] = []
      const queue = await t.queue<number>(
        {},
        {
          wrap: (driver) =>
            decorate(driver, {
              receiver: (inner) => ({
                async settle(batch, signal) {
                  if (thrown.length < KINDS.length) throw new Error('not now')
                  return await inner.settle(batch, signal)
                },
              }),
            }),
        },
      )
      const runs = t.consume(queue, undefined, {
        concurrency: KINDS.length,
        onError: () => {
          thrown.push(hostile(KINDS[thrown.length % KINDS.length] ?? ''))
          throw thrown.at(-1)
        },
      })
      for (const [n] of KINDS.entries()) await queue.send(n)
      await t.count('throws of the listener', thrown, KINDS.length)
      await t.until(
        'every message to be handled',
        () => new Set(runs.ids()).size,
        (size) => size === KINDS.length,
      )
      await t.settled('the consumer to close', runs.consumer.close())
      await t.empty(queue)
      const faults = t.faults.filter((fault) => thrown.includes(fault))
      assert.equal(faults.length, 0, 'nothing that it threw reached the process')
    },
  },
  {
    id: 'L7-flow-listener',
    clauses: ['L7', 'F1'],
    name: 'a listener of flow events that throws disturbs neither messages nor other listeners nor the process',
    async run(t) {
      const queue = await t.queue<string>({ retry: immediate({ attempts: 2 }) })
      const thrown = new Set<unknown>()
      const mine = (listener: (event: FlowEvent) => void): (() => void) =>
        onFlow((event) => {
          if (event.queue === queue.name) listener(event)
        })
      const heard: string[] = []
      const stops = [
        mine(() => {
          const error = hostile(HOSTILE[thrown.size % HOSTILE.length] ?? '')
          thrown.add(error)
          throw error
        }),
        mine(({ step }) => void heard.push(step)),
      ]
      try {
        const runs = t.consume(queue, (body) => {
          if (body === 'bad') throw new Error('always')
        })
        await queue.send('good')
        await queue.send('bad')
        const [entry] = await t.dead(queue, 1)
        assert.equal(entry?.reason, 'exhausted')
        await runs.consumer.close()
        assert.equal(runs.list.length, 3)
        assert.deepEqual([...heard].sort(), [
          'acked',
          'dead-lettered',
          ...['received', 'received', 'received', 'retried', 'sent', 'sent', 'started', 'started', 'started'],
        ])
      } finally {
        for (const stop of stops) stop()
      }
      await t.empty(queue)
      const faults = t.faults.filter((fault) => thrown.has(fault))
      assert.equal(faults.length, 0, 'nothing that a listener threw reached the process')
    },
  },
]
