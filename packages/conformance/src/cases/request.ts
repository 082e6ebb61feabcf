import assert from 'node:assert/strict'
import type { Queue } from '@msgloop/core'
import { bytes, immediate, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { describe, refused, sameBytes, wrong } from '../expect.js'
import { randomBytes } from '../random.js'
import { numberSchema } from '../schema.js'
import { deferred, pause } from '../wait.js'
import { witness } from '../witness.js'
import { needsReplies } from './needs.js'

class OutOfStock extends Error {
  override readonly name = 'OutOfStock'
}

/** Makes and opens all there must be, so that a short timeout after it is spent on waiting for the answer. */
async function askOnce(t: CaseContext, queue: Queue<unknown>): Promise<void> {
  const { consumer } = t.consume(queue)
  await queue.request({})
  await consumer.close()
}

export const requestCases: readonly Case[] = [
  {
    id: 'Q1-round-trip',
    clauses: ['Q1'],
    name: 'a request resolves with what the handler returned, whatever it is, nothing included',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue<unknown>()
      t.consume(queue, (body) => body)
      for (const body of [{ n: 7, list: ['ä', null] }, 'text', 0, false, null, []])
        assert.deepEqual(await queue.request(body), body)
      const silent = await t.queue()
      t.consume(silent)
      assert.equal(await silent.request({}), undefined)
    },
  },
  {
    id: 'Q1-bytes',
    clauses: ['Q1', 'M1'],
    name: 'an answer of bytes arrives byte-identical, also an empty one, also a large one',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue<Uint8Array>({ codec: bytes() })
      t.consume(queue, (body) => body)
      for (const size of [0, 1, 1_000, 200_000]) {
        const body = randomBytes(t.random, size)
        const answer = await queue.request<Uint8Array>(body)
        assert.ok(answer instanceof Uint8Array, `an answer of ${size} bytes is bytes`)
        sameBytes(`an answer of ${size} bytes`, answer, body)
      }
    },
  },
  {
    id: 'Q1-fields',
    clauses: ['Q1', 'Q3', 'M3', 'F2'],
    name: 'the handler sees id, headers and trace of a request, that it is one, and a correlation id',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue()
      const runs = t.consume(queue)
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
      await queue.request({}, { id: 'r1', headers: { tenant: 'a' }, type: 'price', traceparent })
      await queue.request({}, { id: 'r2', correlationId: 'c2' })
      await queue.send({}, { id: 's3' })
      await t.count('messages', runs.list, 3)
      const [first, second, third] = ['r1', 'r2', 's3'].map((id) => runs.of(id)[0]?.message)
      assert.deepEqual({ ...first?.headers }, { tenant: 'a' })
      assert.deepEqual([first?.type, first?.traceparent], ['price', traceparent])
      assert.deepEqual([first?.correlationId, second?.correlationId], ['r1', 'c2'])
      assert.equal(typeof first?.replyTo, 'string')
      assert.equal(first?.replyTo, second?.replyTo, 'requests of one process share a channel')
      assert.equal(third?.replyTo, undefined)
    },
  },
  {
    id: 'Q1-fails',
    clauses: ['Q1', 'D1'],
    name: 'a final failure rejects with REMOTE and the name and message of the error, once it is dead-lettered',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue({ failFast: [OutOfStock] })
      t.consume(queue, () => {
        throw new OutOfStock('sku 7 is gone')
      })
      const error = await refused('the request', () => queue.request({}, { id: 'r1' }), 'REMOTE')
      assert.ok(error.cause instanceof Error)
      assert.deepEqual([error.cause.name, error.cause.message], ['OutOfStock', 'sku 7 is gone'])
      assert.match(error.message, /OutOfStock: sku 7 is gone/)
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.id, 'r1')
    },
  },
  {
    id: 'Q1-retried',
    clauses: ['Q1', 'T1'],
    name: 'a retry answers nothing yet: the answer is that of the attempt that ended it, good or bad',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue<string>({ retry: immediate({ attempts: 3 }) })
      t.consume(queue, (body, { attempt }) => {
        if (body === 'bad' || attempt < 3) throw new OutOfStock(`attempt ${attempt}`)
        return `attempt ${attempt}`
      })
      assert.equal(await queue.request('good'), 'attempt 3')
      const error = await refused('the request', () => queue.request('bad'), 'REMOTE')
      assert.equal((error.cause as Error).message, 'attempt 3')
    },
  },
  {
    id: 'Q1-unencodable',
    clauses: ['Q1'],
    name: 'an answer that cannot be encoded, or is too large, rejects with REMOTE: who waits must hear',
    skip: needsReplies,
    async run(t) {
      const { bodyBytes } = t.capabilities.limits
      const queue = await t.queue<string>()
      t.consume(queue, (body) => (body === 'large' ? 'x'.repeat(bodyBytes) : 7n))
      const error = await refused('a bigint', () => queue.request('bigint'), 'REMOTE')
      assert.match(error.message, /JSON/)
      assert.match((await refused('too large', () => queue.request('large'), 'REMOTE')).message, /bytes/)
      await t.empty(queue)
    },
  },
  {
    id: 'Q1-invalid',
    clauses: ['Q1', 'M5'],
    name: 'a request that the other side cannot read or accept rejects with REMOTE',
    skip: needsReplies,
    async run(t) {
      const definition = t.define<number>({ schema: numberSchema() })
      t.consume(await t.open(definition), (n) => n)
      const queue = await t.open<unknown>(definition.name)
      assert.equal(await queue.request(7), 7)
      const error = await refused('a request that does not match', () => queue.request('seven'), 'REMOTE')
      assert.match(error.message, /expected a number/)
    },
  },
  {
    id: 'Q1-by-hand',
    clauses: ['Q1'],
    name: 'who receives by hand answers with ack(answer) or reject, and with release and retry not yet',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue<string>({ retry: immediate({ attempts: 3 }) })
      const take = async () => {
        const [delivery] = await queue.receive({ wait: '10s' })
        assert.ok(delivery, 'a request comes')
        return delivery
      }
      const good = queue.request('good')
      await (await take()).release()
      await (await take()).retry()
      await (await take()).ack('done')
      assert.equal(await good, 'done')
      const bad = queue.request('bad')
      const seen = refused('the request', () => bad, 'REMOTE')
      await (await take()).reject(new Reject('no'))
      assert.match((await seen).message, /Reject: no/)
    },
  },
  {
    id: 'Q1-timeout',
    clauses: ['Q1', 'W2'],
    name: 'no answer in time rejects with TIMEOUT, and the request expires: nobody works for a caller that is gone',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue()
      await askOnce(t, queue)
      const request = () => queue.request({}, { timeout: 1_000 })
      const error = await refused('the request', request, 'TIMEOUT', 'unknown')
      assert.match(error.message, /1000 ms/)
      const runs = t.consume(queue)
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.reason, 'expired')
      assert.deepEqual(runs.ids(), [])
    },
  },
  {
    id: 'Q1-expires',
    clauses: ['Q1', 'W2'],
    name: 'a request with `expires: false` is handled however late, and one with a `ttl` of its own expires by that',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue()
      await askOnce(t, queue)
      await refused('late', () => queue.request({}, { id: 'late', timeout: 300, expires: false }), 'TIMEOUT')
      // Where the broker itself takes away what is expired, nobody is there to say so.
      const ask = () => queue.request({}, { id: 'short', ttl: 300, timeout: '3s' })
      const short = refused('short', ask, ['REMOTE', 'TIMEOUT'])
      await pause(400)
      const runs = t.consume(queue)
      const { code, message } = await short
      if (code === 'REMOTE') assert.match(message, /expired/)
      await t.count('handler runs', runs.list, 1)
      assert.deepEqual(runs.ids(), ['late'])
    },
  },
  {
    id: 'Q1-late',
    clauses: ['Q1'],
    name: 'a late answer is dropped, and the next request gets its own',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue<string>()
      const gate = deferred()
      const runs = t.consume(queue, async (body) => {
        if (body === 'slow') await gate.promise
        return body
      })
      assert.equal(await queue.request('first'), 'first')
      await refused(
        'the request',
        () => queue.request('slow', { timeout: 1_000, expires: false }),
        'TIMEOUT',
        'unknown',
      )
      await t.count('handler runs', runs.list, 2)
      gate.resolve()
      assert.equal(await queue.request('quick'), 'quick')
      assert.equal(await queue.request('again'), 'again')
    },
  },
  {
    id: 'Q1-abort',
    clauses: ['Q1'],
    name: 'aborting its signal ends a request at once with ABORTED; aborted before, it is not sent',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue<string>()
      const gate = deferred()
      const runs = t.consume(queue, () => gate.promise)
      const controller = new AbortController()
      const pending = queue.request('pending', { signal: controller.signal })
      await t.count('handler runs', runs.list, 1)
      controller.abort()
      await refused('the request', () => pending, 'ABORTED', 'unknown')
      await refused('another', () => queue.request('x', { signal: controller.signal }), 'ABORTED', 'rejected')
      gate.resolve()
      assert.equal(await queue.request('last'), undefined)
      assert.deepEqual(
        runs.list.map(({ body }) => body),
        ['pending', 'last'],
      )
    },
  },
  {
    id: 'Q1-close',
    clauses: ['Q1', 'L3'],
    name: 'closing the broker rejects what waits with CLOSED, and later requests too',
    skip: needsReplies,
    async run(t) {
      const definition = t.define()
      const gate = deferred()
      const runs = t.consume(await t.open(definition), () => gate.promise)
      const queue = await t.open(definition)
      const pending = refused('the request', () => queue.request({}), 'CLOSED', 'unknown')
      await t.count('handler runs', runs.list, 1)
      await t.brokerOf(queue).close()
      await pending
      await refused('a request', () => queue.request({}), 'CLOSED', 'rejected')
      gate.resolve()
    },
  },
  {
    id: 'Q1-handler-asks',
    clauses: ['Q1', 'L3'],
    name: 'a handler that waits for an answer gets it while its broker closes',
    skip: needsReplies,
    async run(t) {
      const inner = await t.queue<number>()
      const gate = deferred()
      t.consume(inner, async (n) => {
        await gate.promise
        return n + 1
      })
      const outer = await t.queue<number>()
      const asks = t.brokerOf(outer).queue<number>(inner.name)
      const seen: unknown[] = []
      const runs = t.consume(outer, async (n) => void seen.push(await asks.request(n)))
      await outer.send(1)
      await t.count('handler runs', runs.list, 1)
      const closing = t.brokerOf(outer).close()
      gate.resolve()
      await t.settled('the broker to close', closing)
      assert.deepEqual(seen, [2])
    },
  },
  {
    id: 'Q1-refused',
    clauses: ['Q1', 'S4', 'E1'],
    name: 'what is no request is refused before any I/O',
    skip: needsReplies,
    async run(t) {
      const { watch, calls } = witness()
      const queue = await t.queue<unknown>({}, { wrap: watch })
      for (const options of [
        { timeout: 0 },
        { timeout: -1 },
        { timeout: 'soon' },
        { expires: 1 },
        { unknown: 1 },
        { id: 'ä' },
        5,
        {
          get timeout() {
            throw new Error('hostile')
          },
        },
      ])
        await refused(describe(options), () => queue.request({}, wrong(options)), 'INVALID', 'rejected')
      await refused('a body', () => queue.request(7n), 'INVALID', 'rejected')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'Q1-unsupported',
    clauses: ['C1', 'S4', 'Q1'],
    name: 'where there is no request-reply, a request is refused as UNSUPPORTED before any I/O',
    async run(t) {
      const { watch, calls } = witness()
      const wrap: typeof watch = (driver) => {
        const { replies: _, ...rest } = watch(driver)
        return { ...rest, capabilities: { ...driver.capabilities, replies: false } }
      }
      const queue = await t.queue({}, { wrap })
      await refused('a request', () => queue.request({}), 'UNSUPPORTED', 'rejected')
      assert.deepEqual(calls, [])
    },
  },
  {
    id: 'Q1-twice',
    clauses: ['Q1'],
    name: 'two requests of one id cannot wait at once; one after the other they can',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue<number>()
      const gate = deferred()
      t.consume(queue, async (n) => {
        await gate.promise
        return n
      })
      const first = queue.request(1, { id: 'same' })
      await refused('the second', () => queue.request(2, { id: 'same' }), 'INVALID', 'rejected')
      gate.resolve()
      assert.equal(await first, 1)
      assert.equal(await queue.request(3, { id: 'same' }), 3)
    },
  },
  {
    id: 'Q2-thousand',
    clauses: ['Q2', 'Q1'],
    name: 'a thousand requests in flight share one reply channel, and each gets its own answer',
    timeoutMs: 60_000,
    skip: needsReplies,
    async run(t) {
      const definition = t.define<number>()
      const { watch, calls } = witness()
      const queue = await t.open(definition, { wrap: watch })
      const answers = Array.from({ length: 1_000 }, (_, n) => queue.request(n, { timeout: '50s' }))
      t.consume(await t.open(definition), (n) => n * 2, { concurrency: 100 })
      assert.deepEqual(
        await Promise.all(answers),
        answers.map((_, n) => n * 2),
      )
      assert.equal(calls.filter((call) => call === 'openReplies').length, 1, 'channels opened')
    },
  },
  {
    id: 'Q2-several',
    clauses: ['Q2', 'Q1'],
    name: 'several processes ask one queue, and several answer: each gets the answers to its own requests',
    skip: needsReplies,
    async run(t) {
      const definition = t.define<string>()
      for (let n = 0; n < 2; n++) t.consume(await t.open(definition), (body) => `answer to ${body}`)
      const askers = await Promise.all([0, 1, 2].map(() => t.open(definition)))
      const bodies = askers.map((_, asker) => Array.from({ length: 20 }, (_, n) => `${asker}/${n}`))
      const answers = await Promise.all(
        askers.flatMap((queue, asker) => (bodies[asker] ?? []).map((body) => queue.request(body))),
      )
      assert.deepEqual(
        answers,
        bodies.flat().map((body) => `answer to ${body}`),
      )
    },
  },
]
