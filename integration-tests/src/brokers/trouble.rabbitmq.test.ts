import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import type { Broker, BrokerOptions, Queue } from '@msgloop/core'
import { createBroker, defineQueue, defineTopic, fixed, MsgloopError } from '@msgloop/core'
import type { ChannelModel, ConfirmChannel } from 'amqplib'
import { connect } from 'amqplib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RabbitmqServer } from '../rabbitmq-server.js'
import { startRabbitmq } from '../rabbitmq-server.js'

const FACT = { timeout: 20_000, interval: 20 }
const PASSWORD = 'secret-of-bob'

async function errorOf(work: () => Promise<unknown>): Promise<MsgloopError> {
  try {
    await work()
  } catch (error) {
    if (error instanceof MsgloopError) return error
    throw error
  }
  throw new Error('it did not fail')
}

describe('trouble of a real RabbitMQ', () => {
  let server: RabbitmqServer
  let connection: ChannelModel
  let raw: ConfirmChannel
  let name: string
  const open: { close(): Promise<void> }[] = []

  const broker = (url = server.url(), options?: BrokerOptions): Broker => {
    const opened = createBroker(rabbitmq({ url }), options)
    open.push(opened)
    return opened
  }
  const queueOf = (url = server.url(), options?: BrokerOptions): Queue<number> =>
    broker(url, options).queue(
      defineQueue<number>(name, { sendTimeout: '3s', retry: fixed({ attempts: 3, delay: '100ms' }) }),
    )
  /** Bodies in the order they were handled. */
  const handled = (queue: Queue<number>): number[] => {
    const seen: number[] = []
    queue.consume((body) => void seen.push(body), { onError() {} })
    return seen
  }
  const as = (who: string, query = ''): string =>
    server.url(undefined, query).replace('guest:guest', `${who}:${PASSWORD}`)
  /** Permissions to configure, write and read, by name of the object. */
  const user = async (who: string, ...permissions: [string, string, string]): Promise<string> => {
    await server.rabbitmqctl('add_user', who, PASSWORD)
    await server.rabbitmqctl('set_permissions', who, ...permissions)
    return as(who)
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
    name = `trouble-${randomUUID()}`
    raw = await connection.createConfirmChannel()
    raw.on('error', () => {})
  })
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close()
    await raw.close().catch(() => {})
  })

  test('wrong credentials are DENIED, and no password is anywhere in the error', async () => {
    const url = server.url().replace('guest:guest', 'guest:hunter2-wrong')
    const error = await errorOf(() => broker(url).connect())
    expect(error).toMatchObject({ code: 'DENIED', retryable: false })
    expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/hunter2/)
  })

  test('a vhost that is not there, or not open to the user, is told by its name', async () => {
    expect(await errorOf(() => broker(server.url(undefined, 'nowhere')).connect())).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('"nowhere"'),
    })
    await user('bob-of-slash', '.*', '.*', '.*')
    await server.rabbitmqctl('add_vhost', 'closed')
    const error = await errorOf(() => broker(as('bob-of-slash', 'closed')).connect())
    expect(error.message).toMatch(/"closed".*"bob-of-slash"/)
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(PASSWORD)
  })

  test('something that is no AMQP server is UNREACHABLE, and not tried again', async () => {
    const { createServer } = await import('node:http')
    const http = createServer((_, response) => response.end('hello'))
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const address = http.address()
    const port = typeof address === 'object' && address ? address.port : 0
    expect(await errorOf(() => broker(`amqp://127.0.0.1:${port}`).connect())).toMatchObject({
      code: 'UNREACHABLE',
    })
    http.closeAllConnections()
    http.close()
  })

  test('TLS to a port that speaks none is UNREACHABLE', async () => {
    const url = server.url().replace('amqp:', 'amqps:')
    expect(await errorOf(() => broker(url).connect())).toMatchObject({ code: 'UNREACHABLE' })
  })

  test('who may use a queue but not make one can use it, with topology none; others are DENIED', async () => {
    await queueOf().send(1)
    const only = `^${name}(\\.dlq)?$`
    const url = await user(`bob-${name}`, '^$', `${only}|^amq\\.default$`, only)
    expect(await errorOf(() => queueOf(url).send(2))).toMatchObject({ code: 'DENIED', outcome: 'rejected' })
    const queue = queueOf(url, { topology: 'none' })
    const seen = handled(queue)
    await queue.send(3)
    await expect.poll(() => seen, FACT).toEqual([1, 3])
    const error = await errorOf(() => queue.send(4, { delay: '200ms' }))
    expect(error, 'a delay needs what is named msgloop.v1').toMatchObject({
      code: 'DENIED',
      outcome: 'rejected',
    })
    await queue.send(5)
    await expect.poll(() => seen, FACT).toEqual([1, 3, 5])
  })

  test('who may not write dead letters can still ack, and the message that is to die stays', async () => {
    await queueOf().send(0)
    const url = await user(`eve-${name}`, '^$', '^$', `^${name}$`)
    const troubles: unknown[] = []
    const acked: number[] = []
    const strict = defineQueue<number>(name, { retry: fixed({ attempts: 1, delay: 0 }) })
    const consumer = broker(url, { topology: 'none' })
      .queue(strict)
      .consume(
        (body) => {
          if (body === 0) throw new Error('always')
          acked.push(body)
        },
        { onError: (error) => void troubles.push(error) },
      )
    await expect
      .poll(() => troubles.map((error) => error instanceof MsgloopError && error.code), FACT)
      .toContain('DENIED')
    const sending = queueOf()
    for (let n = 1; n <= 20; n++) await sending.send(n)
    await expect.poll(() => acked.length, FACT).toBe(20)
    await consumer.close({ timeout: '1s' })
    await expect
      .poll(async () => (await sending.receive({ wait: '1s' })).map(({ body }) => body), FACT)
      .toEqual([0])
  })

  test('a queue with other settings is DRIFT, field by field, and can be adopted as it is', async () => {
    await raw.assertQueue(name, {
      durable: true,
      arguments: { 'x-queue-type': 'classic', 'x-message-ttl': 5_000 },
    })
    const error = await errorOf(() => queueOf().send(1))
    expect(error).toMatchObject({ code: 'DRIFT', outcome: 'rejected', retryable: false })
    expect(error.message).toContain(name)
    const fields = (await queueOf().verify()).map(({ field }) => field)
    expect(fields).toEqual(expect.arrayContaining(['x-queue-type', 'x-message-ttl']))
    const queue = queueOf(server.url(), { topology: 'none' })
    await queue.send(2)
    expect((await queue.receive({ wait: '5s' })).map(({ body }) => body)).toEqual([2])
  })

  test('a queue that has partitions is not taken for one that has none, nor the other way round', async () => {
    const ordered = defineQueue<number>(name, { order: 'key' })
    await broker().queue(ordered).send(1, { key: 'k' })
    expect(await errorOf(() => queueOf().send(2))).toMatchObject({
      code: 'DRIFT',
      message: expect.stringContaining('order'),
    })
    expect(await queueOf().verify()).toContainEqual(
      expect.objectContaining({ field: 'order', expected: 'none', actual: 'key' }),
    )
    const plain = `${name}-plain`
    await broker().queue<number>(plain).send(3)
    const error = await errorOf(() =>
      broker()
        .queue(defineQueue<number>(plain, { order: 'key' }))
        .send(4, { key: 'k' }),
    )
    expect(error).toMatchObject({ code: 'DRIFT' })
    await broker().queue(ordered).delete()
  })

  test('a subscription with other patterns, or another topic, is DRIFT, and says both', async () => {
    const topic = broker().topic(defineTopic<number>(name))
    await topic.subscription('a', { patterns: ['order.#'] }).create()
    const other = broker()
      .topic(defineTopic<number>(name))
      .subscription('a', { patterns: ['#'] })
    const error = await errorOf(() => other.create())
    expect(error).toMatchObject({
      code: 'DRIFT',
      message: expect.stringMatching(/patterns is order\.#, wanted #/),
    })
    expect(await other.verify()).toEqual([
      { object: `subscription "${name}.a"`, field: 'patterns', expected: '#', actual: 'order.#' },
    ])
  })

  test('a topic that was deleted is made again by the next publish, and its subscription bound by the next consumer', async () => {
    const topic = broker().topic(defineTopic<number>(name))
    const subscription = topic.subscription('a', { patterns: ['#'] })
    await subscription.create()
    await topic.publish('x', 1)
    await raw.deleteExchange(name)
    await topic.publish('x', 2)
    const again = broker()
      .topic(defineTopic<number>(name))
      .subscription('a', { patterns: ['#'] })
    await again.create()
    await topic.publish('x', 3)
    const seen: number[] = []
    again.consume((body) => void seen.push(body))
    await expect.poll(() => seen, FACT).toEqual([1, 3])
  })

  test.each(['amq.mine', 'msgloop.v1.delay-00'])(
    '%s is refused as a name before any I/O',
    async (reserved) => {
      const unreachable = broker('amqp://127.0.0.1:1')
      expect(await errorOf(() => unreachable.queue(reserved).send(1))).toMatchObject({
        code: 'INVALID',
        outcome: 'rejected',
        message: expect.stringContaining(reserved),
      })
    },
  )

  test('a full queue takes nothing for as long as a send may last, and takes it when there is room', async () => {
    const queue = queueOf()
    await queue.send(0)
    await server.rabbitmqctl('set_policy', name, `^${name}$`, '{"max-length":5}', '--apply-to', 'queues')
    try {
      let refused: MsgloopError | undefined
      for (let n = 1; !refused && n < 50; n++)
        await queue.send(n).catch((error: MsgloopError) => {
          refused = error
        })
      expect(refused).toMatchObject({ code: 'TIMEOUT', retryable: true })
      expect(refused?.cause).toMatchObject({ code: 'BUSY' })
    } finally {
      await server.rabbitmqctl('clear_policy', name)
    }
    await expect
      .poll(
        () =>
          queue.send(100).then(
            () => true,
            () => false,
          ),
        FACT,
      )
      .toBe(true)
  })

  test('under a memory alarm a topic takes nothing, as rejected, and subscriptions are read all the same', async () => {
    const topic = broker().topic(defineTopic<number>(name, { sendTimeout: '2s' }))
    const subscription = topic.subscription('a', { patterns: ['#'] })
    await subscription.create()
    for (let n = 0; n < 20; n++) await topic.publish('x', n)
    await server.rabbitmqctl('set_vm_memory_high_watermark', 'absolute', '1MB')
    try {
      let blocked: MsgloopError | undefined
      // The alarm is told to a connection when it next publishes.
      for (let n = 0; !blocked && n < 2_000; n++)
        await topic.publish('late', -1).catch((error: MsgloopError) => {
          blocked = error
        })
      expect(blocked).toMatchObject({ code: 'TIMEOUT' })
      const seen: number[] = []
      broker()
        .topic(defineTopic<number>(name))
        .subscription('a', { patterns: ['#'] })
        .consume((body) => void (body >= 0 && seen.push(body)))
      await expect.poll(() => seen.length, FACT).toBe(20)
    } finally {
      await server.rabbitmqctl('set_vm_memory_high_watermark', '0.6')
    }
    await expect
      .poll(
        () =>
          topic.publish('x', 100).then(
            () => true,
            () => false,
          ),
        FACT,
      )
      .toBe(true)
  })
})
