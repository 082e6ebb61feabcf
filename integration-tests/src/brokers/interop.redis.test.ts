import { randomUUID } from 'node:crypto'
import { redisStreams } from '@msgloop/adapter-redis-streams'
import type { Broker, Message, QueueDefinition } from '@msgloop/core'
import { createBroker, defineQueue, fixed, immediate } from '@msgloop/core'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { streamOf } from '../harness/redis.js'
import type { RedisServer } from '../redis-server.js'
import { startRedis } from '../redis-server.js'

const FACT = { timeout: 15_000, interval: 20 }
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** Fields of an entry by name. */
function fieldsOf(entry: readonly [string, readonly string[]] | undefined): Record<string, string> {
  const found: Record<string, string> = {}
  const [, fields = []] = entry ?? []
  for (let at = 0; at < fields.length; at += 2) found[fields[at] ?? ''] = fields[at + 1] ?? ''
  return found
}

describe('other clients of the same Redis', () => {
  let server: RedisServer
  let raw: Redis
  let broker: Broker
  let name: string
  let definition: QueueDefinition<unknown>

  const rename = (): void => {
    name = `interop-${randomUUID()}`
    definition = defineQueue(name, { retry: immediate({ attempts: 2 }) })
  }
  /** What a handler was given, until it has been given `count`. */
  const received = async (count: number, fail: (nth: number) => boolean = () => false) => {
    const seen: Message<unknown>[] = []
    const consumer = broker.queue(definition).consume((_, message) => {
      seen.push(message)
      if (fail(seen.length)) throw new Error('on purpose')
    })
    await expect.poll(() => seen.length, FACT).toBe(count)
    await consumer.close()
    return seen
  }
  const entries = async (queue = name): Promise<Record<string, string>[]> =>
    (await raw.xrange(streamOf(queue), '-', '+')).map((entry) => fieldsOf(entry))

  beforeAll(async () => {
    server = await startRedis('redis:8')
    raw = server.client()
  })
  afterAll(async () => {
    raw?.disconnect()
    await server?.stop()
  })
  beforeEach(async () => {
    rename()
    broker = createBroker(redisStreams({ url: server.url() }))
    await broker.queue(definition).receive()
  })
  afterEach(() => broker.close())

  test('redis-cli sends JSON without any header of msgloop, and a handler is given it', async () => {
    const id = await server.cli('XADD', streamOf(name), '*', 'body', '{"sku":12}')
    const [message] = await received(1)
    expect(message).toMatchObject({ body: { sku: 12 }, id: id.trim(), attempt: 1, deliveries: 1 })
    expect(message?.headers).toEqual({})
  })

  test('redis-cli sends fields and no body, as streams are mostly written, and a handler is given them', async () => {
    await server.cli('XADD', streamOf(name), '*', 'sku', '12', 'note', 'grüße')
    const [message] = await received(1)
    expect(message?.body).toEqual({ sku: '12', note: 'grüße' })
    expect(message?.headers).toEqual({ sku: '12', note: 'grüße' })
  })

  test('ioredis sends every field there is a name for', async () => {
    const expiresAt = Date.now() + 60_000
    const fields = {
      id: 'order-1',
      body: '<order/>',
      'content-type': 'text/xml',
      type: 'order.created',
      'correlation-id': 'c-1',
      timestamp: '1700000000123',
      'msgloop-schema-version': '2',
      'msgloop-causation-id': 'cause',
      'msgloop-key': 'k',
      'msgloop-expires-at': String(expiresAt),
      traceparent: TRACEPARENT,
      tracestate: 'a=b',
      tenant: 'ä',
      'header:id': 'a header that is named as a field',
    }
    await raw.xadd(streamOf(name), '*', ...Object.entries(fields).flat())
    const [message] = await received(1)
    expect(message).toMatchObject({
      id: 'order-1',
      body: '<order/>',
      contentType: 'text/xml',
      type: 'order.created',
      correlationId: 'c-1',
      timestamp: new Date(1_700_000_000_123),
      schemaVersion: '2',
      causationId: 'cause',
      key: 'k',
      expiresAt: new Date(expiresAt),
      traceparent: TRACEPARENT,
      tracestate: 'a=b',
    })
    expect(message?.headers).toEqual({ tenant: 'ä', id: 'a header that is named as a field' })
  })

  test('a message that was sent before there was a queue is delivered when there is one', async () => {
    rename()
    await raw.xadd(streamOf(name), '*', 'body', '1')
    await raw.xadd(streamOf(name), '*', 'body', '2')
    expect((await received(2)).map(({ body }) => body)).toEqual([1, 2])
  })

  test('what msgloop sends is read by ioredis, field by field as documented', async () => {
    const queue = broker.queue(definition)
    const before = Date.now()
    await queue.send(
      { n: 1 },
      {
        id: 'mine',
        headers: { tenant: 'ä', id: 'no field', 'content-type': 'no field' },
        type: 'made',
        schemaVersion: '3',
        correlationId: 'c',
        causationId: 'z',
        key: 'k',
        ttl: '1h',
        traceparent: TRACEPARENT,
        tracestate: 'a=b',
      },
    )
    const [fields] = await entries()
    const { timestamp, 'msgloop-expires-at': expiresAt, ...rest } = fields ?? {}
    expect(rest).toEqual({
      id: 'mine',
      body: '{"n":1}',
      'content-type': 'application/json',
      type: 'made',
      'msgloop-schema-version': '3',
      'correlation-id': 'c',
      'msgloop-causation-id': 'z',
      'msgloop-key': 'k',
      traceparent: TRACEPARENT,
      tracestate: 'a=b',
      tenant: 'ä',
      'header:id': 'no field',
      'header:content-type': 'no field',
    })
    expect(Number(timestamp)).toBeGreaterThanOrEqual(before)
    expect(Number(expiresAt) - Number(timestamp)).toBe(3_600_000)
  })

  test('the plainest message has three fields, and its time is in its id', async () => {
    const id = await broker.queue(definition).send('x')
    expect(await entries()).toEqual([{ id, body: '"x"', 'content-type': 'application/json' }])
    const [message] = await received(1)
    expect(message?.timestamp?.getTime()).toBeGreaterThan(Date.now() - 60_000)
  })

  test('bytes that are no text are the same bytes to either', async () => {
    const body = Buffer.from([0xff, 0x00, 0xc3, 0x28])
    await raw.xadd(streamOf(name), '*', 'body', body)
    const [message] = await received(1)
    expect(message?.body).toEqual(body)
  })

  test('a raw consumer in the same group takes, acks and deletes, and msgloop gives it to nobody else', async () => {
    const queue = broker.queue(definition)
    await queue.send('theirs', { id: 'theirs' })
    const stream = streamOf(name)
    const reply = await raw.xreadgroup('GROUP', 'msgloop', 'raw-1', 'COUNT', 1, 'STREAMS', stream, '>')
    const [[, [taken] = []] = []] = reply as [string, [string, string[]][]][]
    expect(fieldsOf(taken).id).toBe('theirs')
    expect(await queue.receive({ wait: 500 })).toEqual([])
    await raw.xack(stream, 'msgloop', taken?.[0] ?? '')
    await raw.xdel(stream, taken?.[0] ?? '')
    expect(await queue.stats()).toMatchObject({ ready: 0, inFlight: 0 })
  })

  test('a raw client reads a dead letter with why it died, and puts it back by XADD', async () => {
    await raw.xadd(streamOf(name), '*', 'id', 'f', 'body', '7', 'tenant', 'a')
    await received(2, () => true)
    await expect.poll(() => entries(`${name}.dlq`), FACT).toHaveLength(1)
    const [fields] = await entries(`${name}.dlq`)
    expect(fields).toMatchObject({ id: 'f', body: '7', tenant: 'a' })
    expect(JSON.parse(fields?.['msgloop-dead'] ?? '')).toMatchObject({
      reason: 'exhausted',
      source: name,
      error: { message: 'on purpose' },
    })
    const { 'msgloop-dead': _, 'msgloop-history': __, ...again } = fields ?? {}
    await raw.xadd(streamOf(name), '*', ...Object.entries(again).flat())
    const [message] = await received(1)
    expect(message).toMatchObject({ id: 'f', body: 7, attempt: 1 })
    expect(message?.headers).toEqual({ tenant: 'a' })
  })

  test('a message of a raw client keeps its id, fields and bytes through retry, dead letters and replay', async () => {
    const entry = await raw.xadd(streamOf(name), '*', 'body', Buffer.from([0x80, 0x31]), 'tenant', 'a')
    const delayed = defineQueue<unknown>(name, { retry: fixed({ attempts: 2, delay: '50ms' }) })
    const other = createBroker(redisStreams({ url: server.url() }))
    const queue = other.queue(delayed)
    const seen: Message<unknown>[] = []
    queue.consume((_, message) => {
      seen.push(message)
      if (message.replays === 0) throw new Error('not yet')
    })
    await expect.poll(async () => (await queue.stats()).dead, FACT).toBe(1)
    expect(await queue.deadLetters.replay()).toMatchObject({ replayed: 1 })
    await expect.poll(() => seen.length, FACT).toBe(3)
    for (const message of seen) {
      expect(message.id).toBe(entry)
      expect(message.body).toEqual(Buffer.from([0x80, 0x31]))
      expect(message.headers).toEqual({ tenant: 'a' })
    }
    await other.close()
  })
})
