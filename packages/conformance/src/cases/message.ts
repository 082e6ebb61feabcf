import assert from 'node:assert/strict'
import type { Queue, SendOptions } from '@msgloop/core'
import { bytes, json, text } from '@msgloop/core'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { between, refused, sameBytes } from '../expect.js'
import { randomBytes } from '../random.js'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** Sends one message and returns it as a handler saw it. */
async function roundTrip<T>(t: CaseContext, queue: Queue<T>, body: T, options: SendOptions = {}) {
  const runs = t.consume(queue)
  const id = await queue.send(body, options)
  await t.until(
    'the message',
    () => runs.of(id).length,
    (count) => count === 1,
  )
  await runs.consumer.close()
  const run = runs.list[0]
  assert.ok(run, 'one message was received')
  return run.message
}

/** Names and values that together are exactly at the limits of this broker. */
function headersAtLimit({ capabilities }: CaseContext): Record<string, string> {
  const { headerCount, headerBytes } = capabilities.limits
  const count = Math.min(headerCount, 1_000)
  const headers: Record<string, string> = {}
  let left = headerBytes
  for (let n = 0; n < count; n++) {
    const name = `h${n}`
    const size = n === count - 1 ? left - name.length : Math.floor(left / (count - n)) - name.length
    headers[name] = 'é'.repeat(Math.floor(size / 2)) + 'x'.repeat(size % 2)
    left -= name.length + size
  }
  return headers
}

export const messageCases: readonly Case[] = [
  {
    id: 'M1-bytes',
    clauses: ['M1'],
    name: 'bodies arrive byte-identical: empty, single bytes, all bytes, bytes that are not UTF-8, 100 KiB',
    async run(t) {
      const queue = await t.queue<unknown>({ codec: bytes() })
      const bodies = [
        new Uint8Array(0),
        new Uint8Array([0]),
        new Uint8Array([0xff, 0xfe, 0x00, 0xc3, 0x28, 0xed, 0xa0, 0x80]),
        Uint8Array.from({ length: 256 }, (_, byte) => byte),
        new Uint8Array([0xef, 0xbb, 0xbf, 0x41, 0x0d, 0x0a, 0x0a]),
        randomBytes(t.random, 100 * 1_024),
      ]
      const ids = await Promise.all(bodies.map((body) => queue.send(body)))
      const runs = t.consume(queue)
      await t.count('messages', runs.list, bodies.length)
      bodies.forEach((body, index) => {
        const seen = runs.of(ids[index] ?? '')[0]?.body
        assert.ok(seen instanceof Uint8Array, 'a body of bytes arrives as bytes')
        sameBytes(`body ${index}`, seen, body)
      })
    },
  },
  {
    id: 'M1-limit',
    clauses: ['M1', 'C1'],
    name: 'a body of exactly the limit arrives byte-identical, also with as many headers as are allowed',
    timeoutMs: 40_000,
    skip: ({ limits }) =>
      limits.bodyBytes > 64 * 1024 * 1024
        ? `the limit is ${limits.bodyBytes} bytes; too much for an ordinary run`
        : undefined,
    async run(t) {
      const { bodyBytes } = t.capabilities.limits
      const body = new Uint8Array(bodyBytes)
      body.set(randomBytes(t.random, 1_024))
      body.set(randomBytes(t.random, 1_024), bodyBytes - 1_024)
      const queue = await t.queue<unknown>({ codec: bytes(), sendTimeout: '30s' })
      const headers = headersAtLimit(t)
      const message = await roundTrip(t, queue, body, { headers })
      assert.ok(message.body instanceof Uint8Array)
      sameBytes('body', message.body, body)
      assert.deepEqual(message.headers, headers)
    },
  },
  {
    id: 'M1-text',
    clauses: ['M1'],
    name: 'text arrives as it was, in every script and with every line ending',
    async run(t) {
      const queue = await t.queue<unknown>({ codec: text() })
      for (const body of ['', 'x', 'grüße 世界 🚀 \u{10ffff}', 'a\r\nb\nc\td', '\ufeffbom', 'a\u0000b'])
        assert.equal((await roundTrip(t, queue, body)).body, body)
    },
  },
  {
    id: 'M1-json',
    clauses: ['M1'],
    name: 'JSON arrives as JSON writes it: dates as text, undefined members dropped, deep nesting kept',
    async run(t) {
      const queue = await t.queue<unknown>()
      const date = new Date('2026-01-02T03:04:05.678Z')
      let deep: unknown = 'core'
      for (let depth = 0; depth < 500; depth++) deep = { next: [deep] }
      const bodies: [unknown, unknown][] = [
        [
          { at: date, gone: undefined, kept: null },
          { at: date.toISOString(), kept: null },
        ],
        [
          [1, 'two', true, null, { '': 0 }, -0.5, 1e300],
          [1, 'two', true, null, { '': 0 }, -0.5, 1e300],
        ],
        ['', ''],
        [0, 0],
        [false, false],
        [null, null],
        [deep, deep],
        ['\u2028 \u0000 😀', '\u2028 \u0000 😀'],
      ]
      for (const [body, expected] of bodies)
        assert.deepEqual((await roundTrip(t, queue, body)).body, expected)
    },
  },
  {
    id: 'M1-proto-body',
    clauses: ['M1'],
    name: 'a `__proto__` key in a body stays a plain key and pollutes nothing',
    async run(t) {
      const queue = await t.queue<unknown>()
      const body: unknown = JSON.parse(
        '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
      )
      const seen = (await roundTrip(t, queue, body)).body
      assert.equal(JSON.stringify(seen), JSON.stringify(body))
      assert.equal(Reflect.get({}, 'polluted'), undefined)
    },
  },
  {
    id: 'M2-headers',
    clauses: ['M2'],
    name: 'headers arrive as they were sent: case of letters, Unicode, control characters, empty values',
    async run(t) {
      const queue = await t.queue()
      const headers = {
        tenant: 'a',
        'X-Mixed_Case.Name': 'Straße 世界 🚀',
        'x-mixed_case.name-2': '',
        'content-type': 'not the real one',
        'x-death': 'mine',
        quoted: ' "a,b;c=d\\" \t',
        lines: 'one\r\ntwo\nthree',
        long: 'é'.repeat(1_000),
      }
      const message = await roundTrip(t, queue, {}, { headers })
      assert.deepEqual({ ...message.headers }, headers)
      assert.equal(message.contentType, json().contentType)
    },
  },
  {
    id: 'M2-limits',
    clauses: ['M2', 'C1'],
    name: 'at least 8 headers and 8 KiB are possible, and what the limits allow arrives',
    async run(t) {
      const { headerCount, headerBytes } = t.capabilities.limits
      between('limits.headerCount', headerCount, 8, Number.POSITIVE_INFINITY)
      between('limits.headerBytes', headerBytes, 8_192, Number.POSITIVE_INFINITY)
      const headers = headersAtLimit(t)
      const message = await roundTrip(t, await t.queue(), {}, { headers })
      assert.deepEqual({ ...message.headers }, headers)
    },
  },
  {
    id: 'M2-proto-header',
    clauses: ['M2', 'S4'],
    name: 'a `__proto__` header is refused or arrives as a plain header, and pollutes nothing',
    async run(t) {
      const queue = await t.queue()
      const headers: Record<string, string> = JSON.parse('{"__proto__":"x","constructor":"y","toString":"z"}')
      const sent = await queue.send({}, { headers }).catch((error: unknown) => error)
      if (typeof sent !== 'string') {
        await refused('a `__proto__` header', () => Promise.reject(sent), 'INVALID', 'rejected')
        const rest = { constructor: 'y', toString: 'z' }
        const message = await roundTrip(t, queue, {}, { headers: rest })
        assert.deepEqual(Object.entries(message.headers).sort(), Object.entries(rest).sort())
      } else {
        const [delivery] = await queue.receive({ wait: '5s' })
        assert.deepEqual(Object.entries(delivery?.headers ?? {}).sort(), Object.entries(headers).sort())
      }
      assert.equal(Reflect.get({}, 'polluted'), undefined)
    },
  },
  {
    id: 'M3-fields',
    clauses: ['M3'],
    name: 'every portable field arrives: content type, ids, type, version, key, expiry, time, trace context',
    async run(t) {
      const queue = await t.queue<unknown>({ codec: text() })
      const options = {
        correlationId: 'corr-ü',
        causationId: 'cause/1',
        type: 'order.created',
        schemaVersion: '2.1',
        key: 'customer 7',
        traceparent: TRACEPARENT,
        tracestate: 'vendor=value,other=1',
      }
      const before = Date.now()
      const message = await roundTrip(t, queue, 'x', { ...options, ttl: '1h' })
      const after = Date.now()
      const { correlationId, causationId, type, schemaVersion, key, traceparent, tracestate } = message
      assert.deepEqual(
        { correlationId, causationId, type, schemaVersion, key, traceparent, tracestate },
        options,
      )
      assert.equal(message.contentType, 'text/plain; charset=utf-8')
      assert.equal(message.queue, queue.name)
      assert.equal(message.priority, 'normal')
      // Some brokers keep whole seconds.
      between('timestamp', message.timestamp?.getTime() ?? 0, before - 1_000, after)
      between(
        'expiresAt',
        message.expiresAt?.getTime() ?? 0,
        before + 3_600_000 - 1_000,
        after + 3_600_000 + 1_000,
      )
    },
  },
  {
    id: 'M3-absent',
    clauses: ['M3'],
    name: 'a field that was not given is absent, not empty',
    async run(t) {
      const message = await roundTrip(t, await t.queue(), {})
      const { correlationId, causationId, type, schemaVersion, key, traceparent, tracestate, expiresAt } =
        message
      assert.deepEqual(
        { correlationId, causationId, type, schemaVersion, key, traceparent, tracestate, expiresAt },
        {
          correlationId: undefined,
          causationId: undefined,
          type: undefined,
          schemaVersion: undefined,
          key: undefined,
          traceparent: undefined,
          tracestate: undefined,
          expiresAt: undefined,
        },
      )
      assert.deepEqual({ ...message.headers }, {})
      assert.equal(message.replays, 0)
    },
  },
]
