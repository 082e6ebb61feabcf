import assert from 'node:assert/strict'
import { bytes, fixed, json, MsgloopError } from '@msgloop/core'
import type { Case } from '../case.js'
import { holdSends } from '../decorate.js'
import { between, refused, sameBytes, sameMembers } from '../expect.js'
import { deferred } from '../wait.js'
import { witness } from '../witness.js'
import { needsDisconnect, needsOrder, needsOutage } from './needs.js'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

export const sendCases: readonly Case[] = [
  {
    id: 'S1-confirmed',
    clauses: ['S1'],
    name: 'a message whose send has resolved is there for another client, even when its sender is gone',
    async run(t) {
      const definition = t.define()
      const sending = await t.open(definition)
      const count = 200
      const ids = await Promise.all(Array.from({ length: count }, (_, n) => sending.send({ n })))
      await t.brokerOf(sending).close()
      const runs = t.consume(await t.open(definition))
      await t.count('messages', runs.list, count)
      await t.empty(await t.open(definition))
      sameMembers('messages received', runs.ids(), ids)
    },
  },
  {
    id: 'S1-missing-queue',
    clauses: ['S1', 'S2', 'C2'],
    name: 'a send to a queue that does not exist is rejected with NOT_FOUND, and never hangs',
    async run(t) {
      const queue = await t.open(t.define({ sendTimeout: '5s' }), { topology: 'none' })
      await refused('a send without a queue', () => queue.send({}), 'NOT_FOUND', 'rejected')
    },
  },
  {
    id: 'S2-ambiguous',
    clauses: ['S2', 'S1', 'L4'],
    name: 'when the connection breaks under sends, resolved means stored, rejected means not stored, and only unknown may be either',
    skip: needsDisconnect,
    async run(t) {
      const definition = t.define<number>({ sendTimeout: '5s' })
      const sending = await t.open(definition)
      await sending.send(-1, { id: 'first' })
      const outcomes = new Map<string, string>()
      const sends = Array.from({ length: 300 }, async (_, n) => {
        const id = `m${n}`
        try {
          await sending.send(n, { id })
          outcomes.set(id, 'resolved')
        } catch (error) {
          assert.ok(error instanceof MsgloopError, `expected a MsgloopError, saw ${error}`)
          assert.ok(error.outcome, `a failed send says what became of the message (${error.message})`)
          outcomes.set(id, error.outcome)
        }
        if (n === 150) await t.disconnect(t.brokerOf(sending))
      })
      await t.settled('every send to end', Promise.all(sends))
      const runs = t.consume(await t.open(definition))
      const resolved = [...outcomes].filter(([, outcome]) => outcome === 'resolved').map(([id]) => id)
      await t.until(
        'every resolved message',
        () => resolved.filter((id) => runs.of(id).length === 0),
        (missing) => missing.length === 0,
      )
      for (const id of new Set(runs.ids()))
        assert.notEqual(outcomes.get(id), 'rejected', `message ${id} was rejected, yet it was delivered`)
      for (const id of resolved)
        assert.equal(runs.of(id).length, 1, `message ${id} was confirmed once; it may be delivered once`)
    },
  },
  {
    id: 'S3-outage',
    clauses: ['S3', 'S2', 'E1'],
    name: 'a send to a broker that is down ends within sendTimeout, with a typed, retryable error',
    skip: needsOutage,
    async run(t) {
      const queue = await t.queue({ sendTimeout: '2s' })
      await queue.receive()
      await queue.send('before')
      await t.outage(t.brokerOf(queue))
      const begun = Date.now()
      const error = await refused('a send while down', () => queue.send('lost?'), [
        'TIMEOUT',
        'UNREACHABLE',
        'CONNECTION_LOST',
      ])
      between('ms until the send ended', Date.now() - begun, 0, 4_000)
      assert.ok(error.outcome === 'rejected' || error.outcome === 'unknown', 'a failed send has an outcome')
      assert.equal(error.retryable, true, 'sending again may work later')
    },
  },
  {
    id: 'S3-outage-over',
    clauses: ['S3', 'L4'],
    name: 'a send begun while the broker is down resolves when it comes back within sendTimeout, and is delivered',
    skip: needsOutage,
    async run(t) {
      const definition = t.define({ sendTimeout: '15s' })
      const queue = await t.open(definition)
      await queue.send('before')
      const restore = await t.outage(t.brokerOf(queue))
      // What is sent as the line is cut may fail as unknown: cut first, and only then send.
      await queue.send('probe', { signal: AbortSignal.timeout(300) }).catch(() => {})
      const sent = queue.send('during', { id: 'during' })
      await restore()
      assert.equal(await t.settled('the send to resolve', sent), 'during')
      const runs = t.consume(await t.open(definition))
      await t.until(
        'the message',
        () => runs.of('during').length,
        (count) => count === 1,
      )
    },
  },
  {
    id: 'S3-abort',
    clauses: ['S3'],
    name: 'aborting its signal rejects a send at once with ABORTED, and nothing was sent when it was aborted before',
    async run(t) {
      const gate = deferred()
      const queue = await t.queue(
        {},
        {
          wrap: (driver) => holdSends(driver, gate.promise),
        },
      )
      await refused(
        'a send whose signal is aborted',
        () => queue.send('never', { signal: AbortSignal.abort() }),
        'ABORTED',
        'rejected',
      )
      const controller = new AbortController()
      const sent = refused(
        'a send under way',
        () => queue.send('x', { signal: controller.signal }),
        'ABORTED',
      )
      controller.abort()
      await t.settled('the aborted send to reject', sent)
      gate.resolve()
      const bodies = (await queue.receive({ max: 10, wait: 200 })).map((delivery) => delivery.body)
      assert.ok(!bodies.includes('never'), 'an aborted signal sends nothing')
    },
  },
  {
    id: 'S5-outcomes',
    clauses: ['S5', 'S4'],
    name: 'a batch has one outcome per item in input order, and a bad item never fails its neighbours',
    async run(t) {
      const definition = t.define<unknown>()
      const queue = await t.open(definition)
      const results = await queue.sendBatch([
        { body: 'a', id: 'a' },
        { body: 1n, id: 'bigint' },
        { body: 'b', id: 'b', headers: { 'msgloop-x': '1' } },
        { body: 'c', id: 'c', delay: -1 },
        { body: 'd', id: 'd' },
      ])
      assert.deepEqual(
        results.map((result) => (result.ok ? result.id : result.error.code)),
        ['a', 'INVALID', 'INVALID', 'INVALID', 'd'],
      )
      for (const result of results) if (!result.ok) assert.equal(result.error.outcome, 'rejected')
      const runs = t.consume(await t.open(definition))
      await t.count('messages', runs.list, 2)
      await t.empty(queue)
      sameMembers('messages received', runs.ids(), ['a', 'd'])
    },
  },
  {
    id: 'S5-native-failures',
    clauses: ['S5', 'S2'],
    name: 'items that the broker fails are told apart by their index, and the others arrive',
    async run(t) {
      const definition = t.define<number>()
      const spec = await t.declare(definition)
      const driver = await t.driver()
      const signal = t.signal
      const missing = t.name()
      const good = await driver.openSender(spec, signal)
      const count = Math.min(5, t.capabilities.limits.sendBatch)
      const failures = await good.send(outgoing(count, 'good'), signal)
      assert.deepEqual(failures, [], 'nothing failed')
      await good.close()
      const outcome = await driver
        .openSender({ ...spec, name: missing, deadLetter: `${missing}.dlq` }, signal)
        .then((sender) => sender.send(outgoing(count, 'bad'), signal))
        .then(
          (listed) => listed.map(({ index }) => index),
          () => Array.from({ length: count }, (_, index) => index),
        )
      assert.deepEqual(
        [...outcome].sort((a, b) => a - b),
        Array.from({ length: count }, (_, index) => index),
        'every item sent to a missing queue fails, and each is listed by its index',
      )
      const runs = t.consume(await t.open(definition))
      await t.count('messages', runs.list, count)
      sameMembers(
        'messages received',
        runs.ids(),
        Array.from({ length: count }, (_, n) => `good-${n}`),
      )
    },
  },
  {
    id: 'S5-chunks',
    clauses: ['S5', 'C1'],
    name: 'a batch of several times the native size is cut up, and each item arrives once',
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      const count = Math.min(3 * t.capabilities.limits.sendBatch + 1, 1_000)
      const results = await queue.sendBatch(Array.from({ length: count }, (_, body) => ({ body })))
      assert.equal(results.length, count)
      const bodies = new Map<string, number>()
      results.forEach((result, n) => {
        assert.ok(result.ok, 'every item is sent')
        bodies.set(result.id, n)
      })
      const runs = t.consume(await t.open(definition))
      await t.count('messages', runs.list, count)
      await t.empty(queue)
      sameMembers('messages received', runs.ids(), [...bodies.keys()])
      for (const run of runs.list) assert.equal(run.body, bodies.get(run.id), 'ids are in input order')
    },
  },
  {
    id: 'S5-chunk-bytes',
    clauses: ['S5', 'C1'],
    name: 'a batch larger than the native number of bytes is cut up, and each body arrives whole',
    skip: ({ limits }) =>
      limits.sendBatchBytes > 8 * 1024 * 1024
        ? `a native batch holds ${limits.sendBatchBytes} bytes; that is too much to exceed in an ordinary run`
        : undefined,
    async run(t) {
      const { bodyBytes, sendBatchBytes } = t.capabilities.limits
      const size = Math.min(bodyBytes, Math.floor(sendBatchBytes * 0.6))
      const definition = t.define({ codec: bytes() })
      const queue = await t.open<unknown>(definition)
      const bodies = [1, 2, 3].map((fill) => new Uint8Array(size).fill(fill))
      const results = await queue.sendBatch(bodies.map((body) => ({ body })))
      assert.ok(
        results.every((result) => result.ok),
        'every item is sent',
      )
      const runs = t.consume(await t.open<unknown>(definition))
      await t.count('messages', runs.list, 3)
      for (const run of runs.list) {
        const index = results.findIndex((result) => result.id === run.id)
        sameBytes('body', run.body as Uint8Array, bodies[index] ?? new Uint8Array())
      }
    },
  },
  {
    id: 'S5-nothing',
    clauses: ['S5'],
    name: 'an empty batch has no outcomes',
    async run(t) {
      const queue = await t.queue()
      assert.deepEqual(await queue.sendBatch([]), [])
    },
  },
  {
    id: 'S6-id',
    clauses: ['S6'],
    name: "a message has the caller's id or a new UUIDv7, and send resolves with it",
    async run(t) {
      const definition = t.define()
      const queue = await t.open(definition)
      const own = 'order-4711/~!'
      assert.equal(await queue.send({}, { id: own }), own)
      const made = await Promise.all(Array.from({ length: 50 }, () => queue.send({})))
      for (const id of made) assert.match(id, UUID_V7)
      const runs = t.consume(await t.open(definition))
      await t.count('messages', runs.list, 51)
      sameMembers('ids', runs.ids(), [own, ...made])
    },
  },
  {
    id: 'S6-everywhere',
    clauses: ['S6', 'T5', 'D1', 'D6'],
    name: 'the id stays the same through retries, the dead-letter queue and a replay',
    async run(t) {
      const queue = await t.queue({ retry: fixed({ attempts: 2, delay: 0 }) })
      const runs = t.consume(queue, (_, message) => {
        if (message.replays === 0) throw new Error('not yet')
      })
      const id = await queue.send({ n: 1 })
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.id, id, 'the entry has the id')
      await queue.deadLetters.replay()
      await t.count('handler runs', runs.list, 3)
      assert.deepEqual(runs.ids(), [id, id, id])
    },
  },
  {
    id: 'S7-window',
    clauses: ['S7', 'C1'],
    name: 'the same id sent twice within the window is delivered once',
    skip: ({ dedupWindowMs }) =>
      dedupWindowMs > 0 ? undefined : 'the broker drops no duplicates; S7-refused proves that it says so',
    async run(t) {
      const definition = t.define({ dedup: Math.min(60_000, t.capabilities.dedupWindowMs) })
      const queue = await t.open(definition)
      const runs = t.consume(await t.open(definition))
      await queue.send('one', { id: 'same' })
      await t.count('messages', runs.list, 1)
      await queue.send('again', { id: 'same' })
      await queue.send('other', { id: 'other' })
      await t.until(
        'the other message',
        () => runs.of('other').length,
        (count) => count === 1,
      )
      await t.empty(queue)
      sameMembers('messages received', runs.ids(), ['same', 'other'])
    },
  },
  {
    id: 'S8-order',
    clauses: ['S8'],
    name: 'sends of one caller on one queue keep their order, awaited or not',
    skip: needsOrder,
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      const sends: Promise<string>[] = []
      for (let n = 0; n < 200; n++) sends.push(queue.send(n, n % 3 === 0 ? { headers: { n: `${n}` } } : {}))
      await Promise.all(sends)
      for (let n = 200; n < 220; n++) await queue.send(n)
      const runs = t.consume(await t.open(definition), undefined, { concurrency: 1 })
      await t.count('messages', runs.list, 220)
      assert.deepEqual(
        runs.list.map((run) => run.body),
        Array.from({ length: 220 }, (_, n) => n),
      )
    },
  },
  {
    id: 'S8-coalesced',
    clauses: ['S8'],
    name: 'concurrent sends share native batches without being asked',
    skip: ({ limits }) => (limits.sendBatch > 1 ? undefined : 'the broker takes one message at a time'),
    async run(t) {
      const { watch, batches } = witness()
      const queue = await t.queue({}, { wrap: watch })
      await Promise.all(Array.from({ length: 200 }, (_, n) => queue.send(n)))
      assert.equal(
        batches.reduce((sum, size) => sum + size, 0),
        200,
        'each message is handed over once',
      )
      between('native batches for 200 concurrent sends', batches.length, 1, 199)
      between('messages in the largest batch', Math.max(...batches), 2, t.capabilities.limits.sendBatch)
    },
  },
]

function outgoing(count: number, prefix: string) {
  const { contentType } = json()
  return Array.from({ length: count }, (_, n) => ({
    delayMs: 0,
    message: {
      id: `${prefix}-${n}`,
      body: Buffer.from(`${n}`),
      headers: {},
      timestamp: Date.now(),
      contentType,
    },
  }))
}
