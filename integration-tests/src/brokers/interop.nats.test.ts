import { randomUUID } from 'node:crypto'
import { nats } from '@msgloop/adapter-nats'
import type { Broker, Message, QueueDefinition } from '@msgloop/core'
import { createBroker, defineQueue, defineTopic, fixed, immediate } from '@msgloop/core'
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream'
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { connect, createInbox, headers } from '@nats-io/transport-node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { NatsServer } from '../nats-server.js'
import { NATS_IMAGES, startNats } from '../nats-server.js'

const FACT = { timeout: 15_000, interval: 20 }
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

const lines = (given: Readonly<Record<string, string>>) => {
  const all = headers()
  for (const [name, value] of Object.entries(given)) all.append(name, value)
  return all
}

describe.each(NATS_IMAGES)('other clients of the same NATS, %s', (image) => {
  let server: NatsServer
  let raw: NatsConnection
  let js: JetStreamClient
  let manager: JetStreamManager
  let broker: Broker
  let name: string
  let definition: QueueDefinition<unknown>

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
  const stored = async (seq: number, stream = `msgloop-${name}`) => {
    const found = await manager.streams.getMessage(stream, { seq })
    const fields: Record<string, string> = {}
    for (const [field, values] of found?.header ?? []) fields[field] = values.join(', ')
    return { subject: found?.subject, body: found?.string(), fields }
  }

  beforeAll(async () => {
    server = await startNats(image)
    raw = await connect({ servers: `${server.host}:${server.port}` })
    manager = await jetstreamManager(raw)
    js = jetstream(raw)
  })
  afterAll(async () => {
    await raw?.close()
    await server?.stop()
  })
  beforeEach(async () => {
    name = `interop-${randomUUID()}`
    definition = defineQueue(name, { retry: immediate({ attempts: 2 }) })
    broker = createBroker(nats({ url: server.url() }))
    await broker.queue(definition).receive()
  })
  afterEach(() => broker.close())

  test('a client publishes JSON without any header, and a handler is given it', async () => {
    const before = Date.now()
    await js.publish(`msgloop.${name}`, '{"sku":12}')
    const [message] = await received(1)
    expect(message).toMatchObject({ body: { sku: 12 }, attempt: 1, deliveries: 1 })
    expect(message?.id).toMatch(new RegExp(`^msgloop-${name}:1:\\d{19}$`))
    expect(message?.headers).toEqual({})
    expect(message?.timestamp?.getTime()).toBeGreaterThan(before - 60_000)
  })

  test('a client that knows nothing of JetStream publishes, too', async () => {
    raw.publish(`msgloop.${name}`, 'plain words')
    const [message] = await received(1)
    expect(message?.body).toEqual(Buffer.from('plain words'))
  })

  test('a client sets every field there is a name for', async () => {
    const expiresAt = Date.now() + 60_000
    const fields = {
      'msgloop-id': 'order-1',
      'content-type': 'text/xml',
      type: 'order.created',
      'CORRELATION-ID': 'c-1',
      'msgloop-timestamp': '1700000000123',
      'msgloop-schema-version': '2',
      'msgloop-causation-id': 'cause',
      'msgloop-key': 'k',
      'msgloop-expires-at': String(expiresAt),
      traceparent: TRACEPARENT,
      tracestate: 'a=b',
      tenant: '=?UTF-8?B?w6Q=?=',
      'msgloop-user-Type': 'a header that is named as a field',
    }
    await js.publish(`msgloop.${name}`, '<order/>', { headers: lines(fields) })
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
    expect(message?.headers).toEqual({ tenant: 'ä', Type: 'a header that is named as a field' })
  })

  test('the id of a publish that the server drops duplicates by is the id of the message', async () => {
    await js.publish(`msgloop.${name}`, '1', { msgID: 'mine' })
    await js.publish(`msgloop.${name}`, '1', { msgID: 'mine' })
    const [message] = await received(1)
    expect(message?.id).toBe('mine')
  })

  test('what msgloop sends is read by a raw client, header by header as documented', async () => {
    const before = Date.now()
    await broker.queue(definition).send(
      { n: 1 },
      {
        id: 'mine',
        headers: { tenant: 'ä', lines: 'one\ntwo', Type: 'no field', 'Nats-Rollup': 'all' },
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
    const { subject, body, fields } = await stored(1)
    const { 'msgloop-timestamp': timestamp, 'msgloop-expires-at': expiresAt, ...rest } = fields
    expect({ subject, body }).toEqual({ subject: `msgloop.${name}`, body: '{"n":1}' })
    expect(rest).toEqual({
      'msgloop-id': 'mine',
      'Content-Type': 'application/json',
      Type: 'made',
      'msgloop-schema-version': '3',
      'Correlation-Id': 'c',
      'msgloop-causation-id': 'z',
      'msgloop-key': 'k',
      traceparent: TRACEPARENT,
      tracestate: 'a=b',
      tenant: 'ä',
      lines: `=?UTF-8?B?${Buffer.from('one\ntwo').toString('base64')}?=`,
      'msgloop-user-Type': 'no field',
      'msgloop-user-Nats-Rollup': 'all',
    })
    expect(Number(timestamp)).toBeGreaterThanOrEqual(before)
    expect(Number(expiresAt) - Number(timestamp)).toBe(3_600_000)
  })

  test('the plainest message has two headers, and its time is in its id', async () => {
    const id = await broker.queue(definition).send('x')
    expect((await stored(1)).fields).toEqual({ 'msgloop-id': id, 'Content-Type': 'application/json' })
  })

  test('a raw consumer takes from the same durable and acks, and msgloop gives it to nobody else', async () => {
    const queue = broker.queue(definition)
    await queue.send('theirs', { id: 'theirs' })
    const consumer = await js.consumers.get(`msgloop-${name}`, 'msgloop')
    const taken = await consumer.next({ expires: 5_000 })
    expect(taken?.headers?.get('msgloop-id')).toBe('theirs')
    expect(await queue.receive({ wait: 500 })).toEqual([])
    await taken?.ackAck()
    expect((await manager.streams.info(`msgloop-${name}`)).state.messages).toBe(0)
  })

  test('a message that a raw consumer gives back comes to msgloop, one delivery later', async () => {
    await broker.queue(definition).send(1)
    const consumer = await js.consumers.get(`msgloop-${name}`, 'msgloop')
    const taken = await consumer.next({ expires: 5_000 })
    taken?.nak()
    const [message] = await received(1)
    expect(message).toMatchObject({ body: 1, deliveries: 2 })
  })

  test('a raw client reads a dead letter with why it died, and puts it back by a publish', async () => {
    await js.publish(`msgloop.${name}`, '7', { headers: lines({ 'msgloop-id': 'f', tenant: 'a' }) })
    await received(2, () => true)
    await expect
      .poll(async () => (await stored(1, `msgloop-${name}=2Edlq`)).fields['msgloop-id'], FACT)
      .toBe('f')
    const { body, fields } = await stored(1, `msgloop-${name}=2Edlq`)
    expect({ body, tenant: fields.tenant }).toEqual({ body: '7', tenant: 'a' })
    expect(JSON.parse(fields['msgloop-dead'] ?? '')).toMatchObject({
      reason: 'exhausted',
      source: name,
      error: { message: 'on purpose' },
    })
    await js.publish(`msgloop.${name}`, '7', { headers: lines({ 'msgloop-id': 'f', tenant: 'a' }) })
    const [message] = await received(1)
    expect(message).toMatchObject({ id: 'f', body: 7, attempt: 1, headers: { tenant: 'a' } })
  })

  test('a foreign message keeps its id, headers and bytes through retry, dead letters and replay', async () => {
    await js.publish(`msgloop.${name}`, Buffer.from([0x80, 0x31]), { headers: lines({ tenant: 'a' }) })
    const other = createBroker(nats({ url: server.url() }))
    const queue = other.queue(defineQueue<unknown>(name, { retry: fixed({ attempts: 2, delay: '50ms' }) }))
    const seen: Message<unknown>[] = []
    queue.consume((_, message) => {
      seen.push(message)
      if (message.replays === 0) throw new Error('not yet')
    })
    const dead = async (): Promise<number> =>
      (await manager.streams.info(`msgloop-${name}=2Edlq`)).state.messages
    await expect.poll(dead, FACT).toBe(1)
    expect(await queue.deadLetters.replay()).toMatchObject({ replayed: 1 })
    await expect.poll(() => seen.length, FACT).toBe(3)
    expect(new Set(seen.map(({ id }) => id)).size).toBe(1)
    for (const message of seen) {
      expect(message.body).toEqual(Buffer.from([0x80, 0x31]))
      expect(message.headers).toEqual({ tenant: 'a' })
    }
    await other.close()
  })

  test('what a raw client publishes to the subject of a topic comes to those who are subscribed to it', async () => {
    const topic = broker.topic<unknown>(defineTopic(name))
    const seen: Message<unknown>[] = []
    const all = topic.subscription('all', { patterns: ['order.#'] })
    await all.consume((_, message) => void seen.push(message)).ready
    await js.publish(`msgloop.topic.${name}.order.created.eu`, '{"n":1}')
    await js.publish(`msgloop.topic.${name}.user.created`, '{"n":2}')
    await js.publish(`msgloop.topic.${name}.order`, '{"n":3}')
    await expect
      .poll(() => seen.map(({ subject }) => subject).sort(), FACT)
      .toEqual(['order', 'order.created.eu'])
    expect(seen.map(({ body }) => body)).toContainEqual({ n: 1 })
    // Acked by all who wanted it, nothing is kept.
    await expect
      .poll(async () => (await manager.streams.info(`msgloop-${name}=topic`)).state.messages, FACT)
      .toBe(0)
  })

  test('what msgloop publishes is read by a raw consumer of the topic, and by a plain subscriber', async () => {
    const topic = broker.topic<unknown>(defineTopic(name))
    const stream = `msgloop-${name}=topic`
    await topic.publish('order.created', { n: 0 })
    await manager.consumers.add(stream, { durable_name: 'theirs', ack_policy: AckPolicy.Explicit })
    const plain = raw.subscribe(`msgloop.topic.${name}.order.*`, { max: 1 })
    await raw.flush()
    await topic.publish('order.created', { n: 1 }, { headers: { tenant: 'a' } })
    const taken = await (await js.consumers.get(stream, 'theirs')).next({ expires: 5_000 })
    expect(taken?.subject).toBe(`msgloop.topic.${name}.order.created`)
    expect(taken?.json()).toEqual({ n: 1 })
    expect(taken?.headers?.get('tenant')).toBe('a')
    await taken?.ackAck()
    for await (const heard of plain) expect(heard.json()).toEqual({ n: 1 })
  })

  test('what raw clients send to a queue with order by key gets its turn by its key', async () => {
    const ordered = broker.queue(defineQueue<number>(`${name}-ordered`, { order: 'key' }))
    const seen: [string | undefined, number][] = []
    await ordered.consume((n, { key }) => void seen.push([key, n]), { concurrency: 8 }).ready
    for (let n = 0; n < 30; n++)
      await js.publish(`msgloop.${name}-ordered`, String(n), {
        headers: lines({ 'msgloop-key': `k${n % 3}` }),
      })
    await expect.poll(() => seen.length, FACT).toBe(30)
    for (const key of ['k0', 'k1', 'k2']) {
      const numbers = seen.filter(([of]) => of === key).map(([, n]) => n)
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
      expect(numbers).toHaveLength(10)
    }
    await ordered.delete()
  })

  test('a raw client asks by the header for it, and msgloop answers to its inbox', async () => {
    const queue = broker.queue(definition)
    await queue.consume((body) => ({ twice: Number(body) * 2 })).ready
    const inbox = createInbox()
    const answers = raw.subscribe(inbox, { max: 1 })
    await js.publish(`msgloop.${name}`, '21', {
      headers: lines({ 'msgloop-reply-to': inbox, 'Correlation-Id': 'theirs' }),
    })
    for await (const answer of answers) {
      expect(answer.json()).toEqual({ twice: 42 })
      expect(answer.headers?.get('Correlation-Id')).toBe('theirs')
    }
  })

  test('a raw client answers a request of msgloop, by its correlation id', async () => {
    const answer = broker.queue(definition).request<unknown>(20, { timeout: '10s' })
    const consumer = await js.consumers.get(`msgloop-${name}`, 'msgloop')
    const asked = await consumer.next({ expires: 5_000 })
    raw.publish(asked?.headers?.get('msgloop-reply-to') ?? '', '{"twice":40}', {
      headers: lines({
        'Content-Type': 'application/json',
        'msgloop-causation-id': asked?.headers?.get('msgloop-id') ?? '',
      }),
    })
    expect(await answer).toEqual({ twice: 40 })
    await asked?.ackAck()
  })

  test('nobody is answered at a subject that is an order to the server', async () => {
    const queue = broker.queue(definition)
    const troubles: unknown[] = []
    await queue.consume(() => '', { onError: (error) => troubles.push(error) }).ready
    await js.publish(`msgloop.${name}`, '1', {
      headers: lines({ 'msgloop-reply-to': `$JS.API.STREAM.DELETE.msgloop-${name}` }),
    })
    await expect
      .poll(async () => (await manager.streams.info(`msgloop-${name}`)).state.messages, FACT)
      .toBe(0)
    await queue.send(2)
    expect((await manager.streams.info(`msgloop-${name}`)).config.name).toBe(`msgloop-${name}`)
  })
})
