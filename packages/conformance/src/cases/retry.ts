import assert from 'node:assert/strict'
import { bytes, custom, exponential, fixed, immediate, Reject, RetryAfter } from '@msgloop/core'
import type { Case } from '../case.js'
import { refused, sameBytes, sameMembers } from '../expect.js'
import { notEarly } from '../tolerance.js'
import { pause } from '../wait.js'

class PaymentDeclined extends Error {
  override readonly name = 'PaymentDeclined'
}

export const retryCases: readonly Case[] = [
  {
    id: 'T1-most',
    clauses: ['T1', 'R9', 'S4'],
    name: 'the most attempts that can be asked for are all run, and one more is refused',
    timeoutMs: 60_000,
    async run(t) {
      await refused('291 attempts', () => t.define({ retry: immediate({ attempts: 291 }) }), 'INVALID')
      const queue = await t.queue({ retry: immediate({ attempts: 290 }) })
      const runs = t.consume(queue, () => {
        throw new Error('always')
      })
      await queue.send({})
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.reason, 'exhausted')
      assert.equal(runs.list.length, 290)
    },
  },
  {
    id: 'T1-exact',
    clauses: ['T1', 'D1', 'D2'],
    name: '`attempts: n` means exactly n handler runs, then exactly one dead letter',
    async run(t) {
      for (const attempts of [1, 3]) {
        const queue = await t.queue({ retry: immediate({ attempts }) })
        const runs = t.consume(queue, () => Promise.reject(new Error('always')))
        const id = await queue.send({})
        const entries = await t.dead(queue, 1)
        await t.empty(queue)
        assert.deepEqual(
          runs.list.map((run) => run.attempt),
          Array.from({ length: attempts }, (_, n) => n + 1),
        )
        assert.deepEqual(
          (await t.deadNow(queue)).map((entry) => entry.id),
          [id],
        )
        assert.equal(entries[0]?.attemptCount, attempts)
      }
    },
  },
  {
    id: 'T1-many',
    clauses: ['T1', 'D2'],
    name: 'attempts are exact for many messages failing at once',
    async run(t) {
      const queue = await t.queue<number>({ retry: fixed({ attempts: 3, delay: 100 }) })
      const runs = t.consume(queue, async () => {
        await pause(1)
        throw new Error('always')
      })
      const sent = await queue.sendBatch(Array.from({ length: 40 }, (_, body) => ({ body })))
      const ids = sent.map(({ id }) => id)
      const entries = await t.dead(queue, 40)
      await t.empty(queue)
      sameMembers(
        'entries',
        entries.map(({ id }) => id),
        ids,
      )
      assert.equal(runs.list.length, 120)
      for (const id of ids)
        assert.deepEqual(
          runs.of(id ?? '').map((run) => run.attempt),
          [1, 2, 3],
        )
    },
  },
  {
    id: 'T1-counters',
    clauses: ['T1', 'R6'],
    name: 'without a crash, deliveries count the attempts, from the first to the last',
    async run(t) {
      const queue = await t.queue({ retry: fixed({ attempts: 5, delay: 100 }) })
      const runs = t.consume(queue, (_, message) => {
        if (message.attempt < 5) throw new Error('not yet')
      })
      await queue.send({})
      await t.count('handler runs', runs.list, 5)
      assert.deepEqual(
        runs.list.map((run) => [run.attempt, run.deliveries]),
        [1, 2, 3, 4, 5].map((n) => [n, n]),
      )
      await t.empty(queue)
    },
  },
  {
    id: 'T1-new-consumer',
    clauses: ['T1', 'T3'],
    name: 'attempts go on counting with another consumer on another connection',
    async run(t) {
      const definition = t.define({ retry: fixed({ attempts: 3, delay: 200 }) })
      const attempts: number[] = []
      const sending = await t.open(definition)
      const id = await sending.send({})
      for (let n = 1; n <= 3; n++) {
        const queue = await t.open(definition)
        const runs = t.consume(queue, () => Promise.reject(new Error('always')))
        await t.count('handler runs', runs.list, 1)
        await t.brokerOf(queue).close()
        attempts.push(...runs.list.map((run) => run.attempt))
      }
      assert.deepEqual(attempts, [1, 2, 3])
      const [entry] = await t.dead(sending, 1)
      assert.equal(entry?.id, id)
      assert.equal(entry?.attemptCount, 3)
      // A retry in place carries no record: each client knows its own.
      assert.deepEqual(
        entry?.attempts.map(({ attempt }) => attempt),
        t.capabilities.retry === 'copy' ? [1, 2, 3] : [3],
      )
    },
  },
  {
    id: 'T5-unchanged',
    clauses: ['T5', 'M3', 'F2'],
    name: 'id, body, headers, key, fields, expiry and trace context are unchanged by retries',
    async run(t) {
      const queue = await t.queue({ retry: fixed({ attempts: 3, delay: 100 }) })
      const runs = t.consume(queue, (_, message) => {
        if (message.attempt < 3) throw new Error('not yet')
      })
      const headers = { tenant: 'a', 'X-Case': 'Ä', empty: '' }
      await queue.send(
        { n: 1, text: 'grüße' },
        {
          headers,
          key: 'customer-7',
          correlationId: 'corr',
          causationId: 'cause',
          type: 'order.created',
          schemaVersion: '2',
          ttl: '1h',
          traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
          tracestate: 'vendor=1',
        },
      )
      await t.count('handler runs', runs.list, 3)
      const seen = runs.list.map(({ message }) => {
        const { id, body, headers, key, correlationId, causationId, type, schemaVersion } = message
        const { expiresAt, traceparent, tracestate, timestamp, contentType, priority, replays } = message
        const fields = {
          id,
          body,
          key,
          correlationId,
          causationId,
          type,
          schemaVersion,
          expiresAt,
          traceparent,
        }
        return { ...fields, headers: { ...headers }, tracestate, timestamp, contentType, priority, replays }
      })
      assert.deepEqual(seen[0]?.headers, headers)
      assert.ok(seen[0]?.expiresAt && seen[0].key && seen[0].traceparent, 'the first attempt has them all')
      assert.deepEqual(seen[1], seen[0])
      assert.deepEqual(seen[2], seen[0])
    },
  },
  {
    id: 'T5-bytes',
    clauses: ['T5', 'M1'],
    name: 'bytes that are not UTF-8 are unchanged by retries and dead-lettering',
    async run(t) {
      const body = new Uint8Array([0xff, 0xfe, 0x00, 0xc3, 0x28, 0x0d, 0x0a])
      const queue = await t.queue<unknown>({ codec: bytes(), retry: immediate({ attempts: 3 }) })
      const runs = t.consume(queue, () => Promise.reject(new Error('always')))
      await queue.send(body)
      const [entry] = await t.dead(queue, 1)
      for (const run of runs.list) {
        assert.ok(run.body instanceof Uint8Array)
        sameBytes('body', run.body, body)
      }
      sameBytes('the entry', entry?.bytes ?? new Uint8Array(), body)
    },
  },
  {
    id: 'T7-fail-fast',
    clauses: ['T7', 'D1'],
    name: 'an error of a failFast class skips the retries, and others do not',
    async run(t) {
      const queue = await t.queue<string>({ retry: immediate({ attempts: 3 }), failFast: [PaymentDeclined] })
      const runs = t.consume(queue, (body) => {
        throw body === 'declined' ? new PaymentDeclined('no cover') : new Error('network')
      })
      await queue.send('declined', { id: 'declined' })
      await queue.send('network', { id: 'network' })
      const entries = await t.dead(queue, 2)
      assert.equal(runs.of('declined').length, 1)
      assert.equal(runs.of('network').length, 3)
      const reasons = Object.fromEntries(entries.map(({ id, reason }) => [id, reason]))
      assert.deepEqual(reasons, { declined: 'rejected', network: 'exhausted' })
      assert.equal(entries.find(({ id }) => id === 'declined')?.error?.name, 'PaymentDeclined')
    },
  },
  {
    id: 'T7-retry-if',
    clauses: ['T7'],
    name: 'retryIf is asked with error and attempt, and false skips the remaining retries',
    async run(t) {
      const asked: [string, number][] = []
      const queue = await t.queue({
        retry: immediate({ attempts: 5 }),
        retryIf: (error, attempt) => {
          asked.push([error instanceof Error ? error.message : '', attempt])
          return attempt < 2
        },
      })
      const runs = t.consume(queue, (_, message) => Promise.reject(new Error(`e${message.attempt}`)))
      await queue.send({})
      const [entry] = await t.dead(queue, 1)
      assert.equal(runs.list.length, 2)
      assert.deepEqual(asked, [
        ['e1', 1],
        ['e2', 2],
      ])
      assert.equal(entry?.attemptCount, 2)
    },
  },
  {
    id: 'T7-reject',
    clauses: ['T7', 'D1'],
    name: 'a handler that throws Reject dead-letters at once with reason rejected',
    async run(t) {
      const queue = await t.queue({ retry: immediate({ attempts: 5 }) })
      const runs = t.consume(queue, () => {
        throw new Reject('no such address')
      })
      await queue.send({})
      const [entry] = await t.dead(queue, 1)
      assert.equal(runs.list.length, 1)
      assert.equal(entry?.reason, 'rejected')
      assert.equal(entry?.error?.message, 'no such address')
      await t.empty(queue)
    },
  },
  {
    id: 'T7-retry-after',
    clauses: ['T7', 'T1'],
    name: 'RetryAfter overrides the delay both ways, and counts as an attempt',
    async run(t) {
      const queue = await t.queue({
        retry: custom({ attempts: 3, delay: (attempt) => (attempt === 1 ? 0 : '1h') }),
      })
      const runs = t.consume(queue, (_, message) => {
        throw new RetryAfter(message.attempt === 1 ? 600 : 100)
      })
      await queue.send({})
      const [entry] = await t.dead(queue, 1)
      assert.equal(runs.list.length, 3)
      const [first, second, third] = runs.list
      notEarly('a longer delay than the policy', (second?.startedAt ?? 0) - (first?.endedAt ?? 0), 600)
      notEarly('a shorter delay than the policy', (third?.startedAt ?? 0) - (second?.endedAt ?? 0), 100)
      assert.equal(entry?.reason, 'exhausted')
    },
  },
  {
    id: 'T7-elapsed',
    clauses: ['T7', 'T1'],
    name: 'past maxElapsed there is no further retry, whatever attempts are left',
    async run(t) {
      const queue = await t.queue({ retry: fixed({ attempts: 290, delay: 100, maxElapsed: '1500ms' }) })
      const runs = t.consume(queue, () => Promise.reject(new Error('always')))
      await queue.send({})
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.reason, 'exhausted')
      assert.ok(runs.list.length >= 2, 'it was retried before')
      notEarly(
        'ms until it gave up',
        (runs.list.at(-1)?.endedAt ?? 0) - (runs.list[0]?.startedAt ?? 0),
        1_500,
      )
    },
  },
  {
    id: 'T7-policy-throws',
    clauses: ['T7', 'L7'],
    name: 'a retry policy or retryIf that throws loses no message',
    async run(t) {
      const queue = await t.queue({
        retry: custom({
          attempts: 2,
          delay: () => {
            throw new Error('policy')
          },
        }),
        retryIf: () => {
          throw new Error('retryIf')
        },
      })
      const runs = t.consume(queue, () => Promise.reject(new Error('always')))
      const id = await queue.send({})
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.id, id)
      assert.equal(runs.list.length, 2)
    },
  },
  {
    id: 'T7-middleware',
    clauses: ['T7'],
    name: "middleware runs in order, the broker's outside the consumer's; it can map errors and skip the handler",
    async run(t) {
      const steps: string[] = []
      const note = (name: string) => async (_: unknown, next: () => Promise<unknown>) => {
        steps.push(`${name}>`)
        try {
          return await next()
        } finally {
          steps.push(`<${name}`)
        }
      }
      const queue = await t.queue<string>(
        { retry: immediate({ attempts: 3 }) },
        { middleware: [note('broker')] },
      )
      const runs = t.consume(
        queue,
        (body) => {
          steps.push(body)
          if (body === 'map') throw new Error('temporary')
        },
        {
          concurrency: 1,
          middleware: [
            note('outer'),
            async (message, next) => {
              if (message.body === 'skip') return undefined
              return await next().catch((error: unknown) =>
                Promise.reject(new Reject('mapped', { cause: error })),
              )
            },
          ],
        },
      )
      await queue.send('run', { id: 'run' })
      await t.count('steps', steps, 5)
      assert.deepEqual(steps, ['broker>', 'outer>', 'run', '<outer', '<broker'])
      await queue.send('map', { id: 'map' })
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.reason, 'rejected', 'middleware made the error final')
      await queue.send('skip', { id: 'skip' })
      await t.until(
        'the skipped message to be acked',
        () => steps.length,
        (length) => length === 14,
      )
      await t.empty(queue)
      assert.deepEqual(runs.ids(), ['run', 'map'])
    },
  },
  {
    id: 'T7-exponential',
    clauses: ['T7', 'T2'],
    name: 'an exponential policy grows by its factor and stops at its maximum',
    async run(t) {
      const queue = await t.queue({ retry: exponential({ attempts: 5, from: 100, factor: 3, max: 500 }) })
      const events = t.events(queue.name)
      t.consume(queue, () => Promise.reject(new Error('always')))
      await queue.send({})
      await t.dead(queue, 1)
      const { delayResolutionMs } = t.capabilities.limits
      const expected = [100, 300, 500, 500].map((ms) => Math.ceil(ms / delayResolutionMs) * delayResolutionMs)
      assert.deepEqual(
        events.filter(({ step }) => step === 'retried').map(({ delayMs }) => delayMs),
        expected,
      )
    },
  },
]
