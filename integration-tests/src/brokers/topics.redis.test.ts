import { randomUUID } from 'node:crypto'
import { redisStreams } from '@msgloop/adapter-redis-streams'
import type { Driver, Outgoing, QueueSpec, SubscriptionSpec } from '@msgloop/core/driver'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RedisServer } from '../redis-server.js'
import { startRedis } from '../redis-server.js'

const common = { leaseMs: 60_000, dedupWindowMs: 0, order: 'none' } as const

/** What only the driver, or another client, can do; the contract of topics is proven by conformance. */
describe('topics on Redis Streams', () => {
  let server: RedisServer
  let raw: Redis
  let driver: Driver
  let topic: string
  let signal: AbortSignal

  beforeAll(async () => {
    server = await startRedis('redis:7.0')
    raw = server.client()
  })
  afterAll(async () => {
    raw?.disconnect()
    await server?.stop()
  })
  beforeEach(async () => {
    signal = AbortSignal.timeout(60_000)
    topic = `topic-${randomUUID()}`
    driver = redisStreams({ url: server.url() })
    await driver.admin.declare({ kind: 'topic', name: topic }, signal)
  })
  afterEach(() => driver.close())

  const subscription = (name: string, patterns = ['#']): SubscriptionSpec => ({
    ...common,
    kind: 'subscription',
    name: `${topic}.${name}`,
    topic,
    patterns,
    role: 'work',
    deadLetter: `${topic}.${name}.dlq`,
    deliveryLimit: 100,
  })
  const streamOf = ({ name }: SubscriptionSpec): string => `msgloop:{${topic}}:${name}`
  const message = (id: string, subject = 'a.b'): Outgoing => ({
    delayMs: 0,
    message: { id, subject, body: Buffer.from('1'), headers: {}, timestamp: 1 },
  })
  const idsIn = async (spec: SubscriptionSpec): Promise<string[]> =>
    (await raw.xrange(streamOf(spec), '-', '+')).map(([, fields]) => fields[1] ?? '')

  test('subscriptions come and go while batches are published: each gets every message of its time, in order, once', async () => {
    const specs = Array.from({ length: 6 }, (_, n) => subscription(`s${n}`, n % 2 ? ['a.*'] : ['#']))
    const sender = await driver.openSender({ kind: 'topic', name: topic }, signal)
    let next = 0
    const stored: string[] = []
    /** Until it is stored: while the routes change it is refused, and nothing of it is there. */
    const publish = async (): Promise<void> => {
      const batch = Array.from({ length: 20 }, () => message(`${next++}`))
      for (;;) {
        try {
          expect(await sender.send(batch, signal)).toEqual([])
          stored.push(...batch.map(({ message: { id } }) => id))
          return
        } catch (error) {
          expect(error).toMatchObject({ code: 'BUSY', outcome: 'rejected', retryable: true })
        }
      }
    }
    const from = new Map<SubscriptionSpec, number>()
    let until = -1
    for (const spec of specs) {
      const other = redisStreams({ url: server.url() })
      const declared = other.admin.declare(spec, signal)
      for (let n = 0; n < 3; n++) await publish()
      await declared
      from.set(spec, stored.length)
      await publish()
      if (spec === specs[3]) {
        await other.admin.delete(specs[0] ?? spec, signal)
        until = stored.length
        await publish()
      }
      await other.close()
    }
    expect(until).toBeGreaterThan(0)
    expect(await raw.exists(streamOf(subscription('s0')))).toBe(0)
    for (const spec of specs.slice(1)) {
      const ids = await idsIn(spec)
      expect(ids).toEqual(stored.slice(stored.length - ids.length))
      expect(ids.length).toBeGreaterThanOrEqual(stored.length - (from.get(spec) ?? 0))
    }
  })

  test('a publisher that has not seen the newest subscription stores nothing of a batch', async () => {
    const sender = await driver.openSender({ kind: 'topic', name: topic }, signal)
    const [early, late] = [subscription('early'), subscription('late')]
    await driver.admin.declare(early, signal)
    await expect(sender.send([message('1')], signal)).rejects.toMatchObject({ code: 'BUSY' })
    expect(await sender.send([message('2')], signal)).toEqual([])
    await driver.admin.declare(late, signal)
    await expect(sender.send([message('3')], signal)).rejects.toMatchObject({ code: 'BUSY' })
    expect(await idsIn(early)).toEqual(['2'])
    expect(await idsIn(late)).toEqual([])
  })

  test('what others XADD to the stream of a subscription, or to another, is delivered there and nowhere else', async () => {
    const [mine, other] = [subscription('mine'), subscription('other')]
    for (const spec of [mine, other]) await driver.admin.declare(spec, signal)
    await raw.xadd(streamOf(mine), '*', 'body', '{"n":1}', 'msgloop-subject', 'a.b')
    const options = { prefetch: 10, leaseMs: 60_000, consumer: 'c', onLost: () => {} }
    const receiver = await driver.openReceiver(mine, options, signal)
    const [delivery] = await receiver.receive(10, 5_000, signal)
    expect(delivery?.message).toMatchObject({ subject: 'a.b', body: Buffer.from('{"n":1}') })
    expect((await driver.admin.stats(other, signal)).ready).toBe(0)
    await receiver.close()
  })

  test('a subscription whose stream was deleted by hand is filled on, and receives again once declared', async () => {
    const spec = subscription('s')
    await driver.admin.declare(spec, signal)
    const sender = await driver.openSender({ kind: 'topic', name: topic }, signal)
    await raw.del(streamOf(spec), `${streamOf(spec)}:settings`)
    expect(await sender.send([message('1')], signal)).toEqual([])
    await driver.admin.declare(spec, signal)
    const options = { prefetch: 10, leaseMs: 60_000, consumer: 'c', onLost: () => {} }
    const receiver = await driver.openReceiver(spec, options, signal)
    expect((await receiver.receive(10, 5_000, signal)).map((each) => each.message.id)).toEqual(['1'])
    await receiver.close()
  })

  test('routes that were changed by hand are drift of the binding, and declaring puts them right', async () => {
    const spec = subscription('s', ['a.*'])
    await driver.admin.declare(spec, signal)
    const routes = `msgloop:{${topic}}:${topic}:routes`
    await raw.hset(routes, spec.name, 'b.*')
    const object = `binding of subscription "${spec.name}"`
    expect(await driver.admin.verify(spec, signal)).toEqual([
      { object, field: 'patterns', expected: 'a.*', actual: 'b.*' },
    ])
    await raw.hdel(routes, spec.name)
    expect(await driver.admin.verify(spec, signal)).toMatchObject([{ object, actual: 'missing' }])
    await driver.admin.declare(spec, signal)
    expect(await driver.admin.verify(spec, signal)).toEqual([])
  })

  test('a queue, and a subscription of another topic, of the same name are DRIFT', async () => {
    const spec = subscription('s.t')
    await driver.admin.declare(spec, signal)
    const queue: QueueSpec = { ...common, kind: 'queue', name: spec.name, role: 'dead-letter' }
    await expect(driver.admin.declare(queue, signal)).rejects.toMatchObject({ code: 'DRIFT' })
    const longer = `${topic}.s`
    await driver.admin.declare({ kind: 'topic', name: longer }, signal)
    await expect(driver.admin.declare({ ...spec, topic: longer }, signal)).rejects.toMatchObject({
      code: 'DRIFT',
      message: expect.stringContaining(`topic is ${topic}, wanted ${longer}`),
    })
  })

  test('each subscription drops what is sent twice within its own window', async () => {
    const [all, once] = [subscription('all'), { ...subscription('once'), dedupWindowMs: 60_000 }]
    for (const spec of [all, once]) await driver.admin.declare(spec, signal)
    const sender = await driver.openSender({ kind: 'topic', name: topic }, signal)
    for (let n = 0; n < 2; n++) expect(await sender.send([message('1'), message('1')], signal)).toEqual([])
    expect(await idsIn(all)).toHaveLength(4)
    expect(await idsIn(once)).toEqual(['1'])
  })
})
