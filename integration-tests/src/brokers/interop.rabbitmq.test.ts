import { randomUUID } from 'node:crypto'
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import type { Broker, Message, MessageSource, QueueDefinition } from '@msgloop/core'
import { createBroker, defineQueue, defineTopic, fixed, immediate } from '@msgloop/core'
import { partitionOf } from '@msgloop/core/driver'
import type { ChannelModel, ConfirmChannel, ConsumeMessage, Options } from 'amqplib'
import { connect } from 'amqplib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RabbitmqServer } from '../rabbitmq-server.js'
import { startRabbitmq } from '../rabbitmq-server.js'

const FACT = { timeout: 15_000, interval: 20 }
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('plain amqplib on the same RabbitMQ', () => {
  let server: RabbitmqServer
  let connection: ChannelModel
  let raw: ConfirmChannel
  let broker: Broker
  let name: string
  let definition: QueueDefinition<unknown>

  const send = async (queue: string, body: string | Buffer, properties: Options.Publish = {}) => {
    raw.sendToQueue(queue, Buffer.from(body), properties)
    await raw.waitForConfirms()
  }
  /** The next message of a queue, once there is one. */
  const next = async (queue = name): Promise<ConsumeMessage> => {
    let got: ConsumeMessage | false = false
    await expect
      .poll(async () => {
        got ||= (await raw.get(queue, { noAck: true })) as ConsumeMessage | false
        return got
      }, FACT)
      .toBeTruthy()
    return got as unknown as ConsumeMessage
  }
  /** What a handler was given, until it has been given `count`. */
  const received = async <T>(
    source: MessageSource<T>,
    count: number,
    fail: (nth: number) => boolean = () => false,
  ): Promise<Message<T>[]> => {
    const seen: Message<T>[] = []
    const consumer = source.consume((_, message) => {
      seen.push(message)
      if (fail(seen.length)) throw new Error('on purpose')
    })
    await expect.poll(() => seen.length, FACT).toBe(count)
    await consumer.close()
    return seen
  }

  beforeAll(async () => {
    server = await startRabbitmq('rabbitmq:4.3-management')
    connection = await connect(server.url())
  })
  afterAll(async () => {
    await connection?.close()
    await server?.stop()
  })
  beforeEach(async () => {
    raw = await connection.createConfirmChannel()
    name = `interop-${randomUUID()}`
    definition = defineQueue(name, { retry: immediate({ attempts: 2 }) })
    broker = createBroker(rabbitmq({ url: server.url() }))
    await broker.queue(definition).receive()
  })
  afterEach(async () => {
    await broker.close()
    await raw.close()
  })

  test('sends JSON without any property, and a handler is given it, by the same id each time', async () => {
    await send(name, '{"sku":12}')
    const seen = await received(broker.queue(definition), 2, (nth) => nth === 1)
    for (const message of seen) {
      expect(message).toMatchObject({ body: { sku: 12 }, id: expect.stringMatching(/^amqp-[0-9a-f]{32}$/) })
      expect(message.headers).toEqual({})
    }
    expect(new Set(seen.map(({ id }) => id)).size).toBe(1)
  })

  test('sends every property there is a name for', async () => {
    const expiresAt = Date.now() + 60_000
    await send(name, '<order/>', {
      messageId: 'order-1',
      contentType: 'text/xml',
      type: 'order.created',
      correlationId: 'c-1',
      timestamp: 1_700_000_000,
      headers: {
        'msgloop-schema-version': '2',
        'msgloop-causation-id': 'cause',
        'msgloop-key': 'k',
        'msgloop-subject': 'order.created',
        'msgloop-expires-at': String(expiresAt),
        traceparent: TRACEPARENT,
        tracestate: 'a=b',
        tenant: 'ä',
        count: 7,
        table: { a: [1] },
      },
    })
    const [message] = await received(broker.queue(definition), 1)
    expect(message).toMatchObject({
      id: 'order-1',
      body: '<order/>',
      contentType: 'text/xml',
      type: 'order.created',
      correlationId: 'c-1',
      timestamp: new Date(1_700_000_000_000),
      schemaVersion: '2',
      causationId: 'cause',
      key: 'k',
      subject: 'order.created',
      expiresAt: new Date(expiresAt),
      traceparent: TRACEPARENT,
      tracestate: 'a=b',
    })
    expect(message?.headers).toEqual({ tenant: 'ä', count: '7', table: '{"a":[1]}' })
  })

  test('reads what msgloop sends, property by property as documented', async () => {
    await broker.queue(definition).send(
      { n: 1 },
      {
        id: 'mine',
        headers: { tenant: 'ä', CC: 'no copy' },
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
    const { properties, content, fields } = await next()
    expect(content.toString()).toBe('{"n":1}')
    expect(fields).toMatchObject({ exchange: '', routingKey: name })
    expect(properties).toMatchObject({
      messageId: 'mine',
      contentType: 'application/json',
      type: 'made',
      correlationId: 'c',
      deliveryMode: 2,
    })
    expect(Math.abs(properties.timestamp * 1000 - Date.now())).toBeLessThan(60_000)
    const {
      'msgloop-expires-at': expiresAt,
      'msgloop-timestamp': timestamp,
      ...headers
    } = properties.headers ?? {}
    expect(headers).toEqual({
      tenant: 'ä',
      'msgloop-user-CC': 'no copy',
      'msgloop-schema-version': '3',
      'msgloop-causation-id': 'z',
      'msgloop-key': 'k',
      traceparent: TRACEPARENT,
      tracestate: 'a=b',
    })
    expect(Number(expiresAt) - Number(timestamp)).toBe(3_600_000)
  })

  test('sends bytes that are no text, and a handler is given the same', async () => {
    const body = Buffer.from([0xff, 0x00, 0xc3, 0x28])
    await send(name, body)
    const [message] = await received(broker.queue(definition), 1)
    expect(message?.body).toEqual(body)
  })

  test('competes for the messages of a queue, and what it acks is gone', async () => {
    const queue = broker.queue(definition)
    await queue.send('theirs', { id: 'theirs' })
    const taken = await next()
    expect(taken.properties.messageId).toBe('theirs')
    expect(await queue.receive({ wait: 300 })).toEqual([])
  })

  test('reads a dead letter with why it died, and puts it back by a plain publish', async () => {
    await send(name, '7', { messageId: 'f', headers: { tenant: 'a' } })
    await received(broker.queue(definition), 2, () => true)
    const { properties, content } = await next(`${name}.dlq`)
    expect(content.toString()).toBe('7')
    expect(properties.messageId).toBe('f')
    expect(JSON.parse(properties.headers?.['msgloop-dead'])).toMatchObject({
      reason: 'exhausted',
      source: name,
      error: { message: 'on purpose' },
    })
    await send(name, content, { messageId: 'f', headers: { tenant: properties.headers?.tenant } })
    const [message] = await received(broker.queue(definition), 1)
    expect(message).toMatchObject({ id: 'f', body: 7, attempt: 1, headers: { tenant: 'a' } })
  })

  test('rejects without requeue, and the dead letter says so though no record was written', async () => {
    const queue = broker.queue(definition)
    await queue.send('x', { id: 'x' })
    const message = await raw.get(name)
    if (message) raw.nack(message, false, false)
    await expect.poll(async () => (await queue.stats()).dead, FACT).toBe(1)
    for await (const dead of queue.deadLetters.list())
      expect(dead).toMatchObject({ id: 'x', reason: 'rejected' })
  })

  test('keeps id, headers with their types, and bytes through delayed retry, dead letters and replay', async () => {
    const delayed = defineQueue<unknown>(name, { retry: fixed({ attempts: 2, delay: '100ms' }) })
    const other = createBroker(rabbitmq({ url: server.url() }))
    const queue = other.queue(delayed)
    await send(name, Buffer.from([0x80, 0x31]), { appId: 'theirs', headers: { count: 7 } })
    await received(queue, 2, () => true)
    await expect.poll(async () => (await queue.stats()).dead, FACT).toBe(1)
    expect(await queue.deadLetters.replay()).toMatchObject({ replayed: 1 })
    const back = await next()
    expect([...back.content]).toEqual([0x80, 0x31])
    expect(back.properties.appId).toBe('theirs')
    expect(back.properties.headers?.count).toBe(7)
    await other.close()
  })

  test('delays by the routing key of the levels', async () => {
    const queue = broker.queue(definition)
    await queue.send('first', { delay: '300ms' }) // makes the levels
    // 0.2 s are 2 steps: binary 10.
    const bits = [...'0'.repeat(27), '1', '0'].join('.')
    raw.publish('msgloop.v1.delay-01', `${bits}.${name.replaceAll('.', '/')}`, Buffer.from('"theirs"'))
    await raw.waitForConfirms()
    const seen = await received(queue, 2)
    expect(seen.map(({ body }) => body).sort()).toEqual(['first', 'theirs'])
  })

  test('publishes to the exchange of a topic, and a subscription is given it with its subject', async () => {
    const topic = broker.topic(defineTopic<unknown>(name))
    const billing = topic.subscription('a', { patterns: ['order.*'], retry: immediate({ attempts: 2 }) })
    await billing.create()
    raw.publish(name, 'order.created', Buffer.from('{"id":7}'))
    raw.publish(name, 'other', Buffer.from('{}'))
    await raw.waitForConfirms()
    const seen = await received(billing, 2, (nth) => nth === 1)
    for (const message of seen) expect(message).toMatchObject({ body: { id: 7 }, subject: 'order.created' })
    expect((await billing.stats()).ready).toBe(0)
  })

  test('binds a queue of its own to a topic, and reads what msgloop publishes by its routing key', async () => {
    const topic = broker.topic(defineTopic<unknown>(name))
    await topic.subscription('a', { patterns: ['#'] }).create()
    const { queue } = await raw.assertQueue('', { exclusive: true })
    await raw.bindQueue(queue, name, 'order.#')
    await topic.publish('order.created.eu', { id: 7 }, { id: 'e-1', key: 'k' })
    const { fields, properties, content } = await next(queue)
    expect(fields).toMatchObject({ exchange: name, routingKey: 'order.created.eu' })
    expect(properties.messageId).toBe('e-1')
    expect(properties.headers).toMatchObject({
      'msgloop-key': 'k',
      'msgloop-partition': String(partitionOf('k')),
    })
    expect(content.toString()).toBe('{"id":7}')
  })

  test('asks by direct reply-to, and is answered by its own correlation id', async () => {
    broker.queue(definition).consume((body) => ({ twice: 2 * (body as { n: number }).n }))
    const asking = await connection.createChannel()
    const answers: ConsumeMessage[] = []
    await asking.consume('amq.rabbitmq.reply-to', (message) => message && answers.push(message), {
      noAck: true,
    })
    asking.sendToQueue(name, Buffer.from('{"n":21}'), {
      contentType: 'application/json',
      replyTo: 'amq.rabbitmq.reply-to',
      correlationId: 'mine',
    })
    await expect.poll(() => answers.length, FACT).toBe(1)
    expect(answers[0]?.content.toString()).toBe('{"twice":42}')
    expect(answers[0]?.properties.correlationId).toBe('mine')
    await asking.close()
  })

  test('answers a request of msgloop, knowing no more than `reply_to` and `correlation_id`', async () => {
    await raw.consume(
      name,
      (message) => {
        if (!message) return
        const { replyTo, correlationId, messageId } = message.properties
        raw.sendToQueue(replyTo, Buffer.from('"pong"'), {
          correlationId: correlationId ?? messageId,
          contentType: 'application/json',
        })
      },
      { noAck: true },
    )
    expect(await broker.queue(definition).request('ping', { timeout: '10s' })).toBe('pong')
  })

  test('sends to a partition of a queue with order by key, and the order is kept', async () => {
    const ordered = broker.queue(defineQueue<number>(`${name}-o`, { order: 'key' }))
    await ordered.receive()
    const partition = `${name}-o.p${partitionOf('k')}`
    for (let n = 0; n < 20; n++) raw.sendToQueue(partition, Buffer.from(String(n)), { messageId: `m${n}` })
    await raw.waitForConfirms()
    const seen = await received(ordered, 20)
    expect(seen.map(({ body }) => body)).toEqual(Array.from({ length: 20 }, (_, n) => n))
    await ordered.delete()
  })

  test('publishes without a partition to a subscription with order by key, which loses nothing', async () => {
    const topic = broker.topic(defineTopic<number>(name))
    const ordered = topic.subscription('o', { patterns: ['#', 'n'], order: 'key' })
    await ordered.create()
    for (let n = 0; n < 10; n++) raw.publish(name, 'n', Buffer.from(String(n)))
    await raw.waitForConfirms()
    for (let n = 10; n < 20; n++) await topic.publish('n', n, { key: `k${n}` })
    const seen = await received(ordered, 20)
    expect(seen.map(({ body }) => body).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, n) => n),
    )
    expect(seen.map(({ body }) => body).filter((n) => n < 10)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    await ordered.delete()
  })
})
