import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { redisStreams } from '@msgloop/adapter-redis-streams'
import type { Delivery, Driver, Outgoing, QueueSpec, Receiver, Verdict } from '@msgloop/core/driver'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { streamOf } from '../harness/redis.js'
import type { RedisServer } from '../redis-server.js'
import { REDIS_IMAGES, startRedis } from '../redis-server.js'

const FACT = { timeout: 30_000, interval: 20 }

describe.each(REDIS_IMAGES)('order by key on %s', (image) => {
  let server: RedisServer
  let raw: Redis
  let drivers: Driver[]
  let spec: QueueSpec
  let signal: AbortSignal

  beforeAll(async () => {
    server = await startRedis(image)
    raw = server.client()
  })
  afterAll(async () => {
    raw?.disconnect()
    await server?.stop()
  })
  beforeEach(async () => {
    signal = AbortSignal.timeout(120_000)
    drivers = []
    spec = {
      kind: 'queue',
      name: `order-${randomUUID()}`,
      role: 'work',
      deadLetter: `failed-${randomUUID()}`,
      deliveryLimit: 10_000,
      leaseMs: 30_000,
      dedupWindowMs: 0,
      order: 'key',
    }
    await open().admin.declare(spec, signal)
  })
  afterEach(async () => {
    for (const driver of drivers) await driver.close()
  })

  const open = (): Driver => {
    const driver = redisStreams({ url: server.url() })
    drivers.push(driver)
    return driver
  }
  const receiver = (leaseMs = 30_000, driver = open()): Promise<Receiver> =>
    driver.openReceiver(spec, { prefetch: 100, leaseMs, consumer: 'c', onLost: () => {} }, signal)
  const message = (key: string | undefined, n: number, delayMs = 0): Outgoing => ({
    delayMs,
    message: {
      id: `${key}/${n}`,
      key,
      body: Buffer.from(`${n}`),
      headers: {},
      timestamp: 1,
    },
  })
  const send = async (...batch: Outgoing[]): Promise<void> => {
    const sender = await open().openSender(spec, signal)
    for (let at = 0; at < batch.length; at += 500)
      expect(await sender.send(batch.slice(at, at + 500), signal)).toEqual([])
  }
  const take = async (from: Receiver, wait = 0, max = 100): Promise<readonly Delivery[]> =>
    from.receive(max, wait, signal)
  const ids = (deliveries: readonly Delivery[]): string[] => deliveries.map((each) => each.message.id)
  const settle = async (to: Receiver, verdict: Verdict, ...deliveries: Delivery[]): Promise<void> => {
    expect(await to.settle(deliveries.map(({ token }) => ({ token, verdict })))).toEqual([])
  }
  /** Keys of the queue there are beside what it always has. */
  const leftovers = async (): Promise<string[]> => {
    const stream = streamOf(spec.name)
    const keys = await raw.keys(`${stream}*`)
    return keys.filter((key) => !['', ':settings', ':receivers'].includes(key.slice(stream.length)))
  }
  const ACK: Verdict = { kind: 'ack' }
  const retry = (delayMs: number): Verdict => ({ kind: 'retry', delayMs, headers: {} })

  test('of each key one is handed over at a time, of all keys at once, and none is left behind', async () => {
    const mine = await receiver()
    const other = await receiver()
    await send(...['a', 'b', 'c'].flatMap((key) => [message(key, 1), message(key, 2)]), message(undefined, 1))
    const first = await take(mine)
    expect(ids(first)).toEqual(['a/1', 'b/1', 'c/1', 'undefined/1'])
    expect(ids(await take(other))).toEqual([])
    expect(await drivers[0]?.admin.stats(spec, signal)).toMatchObject({ ready: 3, inFlight: 4 })
    await settle(mine, ACK, ...first)
    const second = await take(other)
    expect(ids(second)).toEqual(['a/2', 'b/2', 'c/2'])
    await settle(other, ACK, ...second)
    expect(await leftovers()).toEqual([])
  })

  test('a retry keeps the turn of its key, at once and while it waits, and so does what is given back', async () => {
    const mine = await receiver()
    const other = await receiver()
    await send(message('a', 1), message('a', 2), message('b', 1))
    for (const verdict of [{ kind: 'release' }, retry(0), retry(300)] as const) {
      const [a, b] = await take(mine)
      expect([a?.message.id, b?.message.id].sort()).toEqual(['a/1', 'b/1'])
      if (!a || !b) throw new Error('there are two')
      const [first, rest] = a.message.id === 'a/1' ? [a, b] : [b, a]
      await settle(mine, { kind: 'release' }, rest)
      await settle(mine, verdict, first)
    }
    const b = await take(other)
    expect(ids(b)).toEqual(['b/1'])
    await settle(other, ACK, ...b)
    expect(await drivers[0]?.admin.stats(spec, signal)).toMatchObject({ ready: 1, delayed: 1 })
    const again = await take(other, 5_000)
    expect(ids(again)).toEqual(['a/1'])
    await settle(other, ACK, ...again)
    expect(ids(await take(mine))).toEqual(['a/2'])
  })

  test('a lease that ends, and a receiver that goes, leave the turn where it was', async () => {
    const brief = await receiver(200)
    await send(message('a', 1), message('a', 2))
    expect(ids(await take(brief))).toEqual(['a/1'])
    const next = await receiver()
    const [again] = await take(next, 5_000)
    expect(again).toMatchObject({ message: { id: 'a/1' }, deliveries: 2 })
    await next.close()
    const last = await receiver()
    const third = await take(last, 5_000)
    expect(ids(third)).toEqual(['a/1'])
    await settle(last, ACK, ...third)
    expect(ids(await take(last))).toEqual(['a/2'])
  })

  test('a receiver that waits is given the next at once when it settles, and the others soon', async () => {
    const mine = await receiver()
    const other = await receiver()
    await send(message('a', 1), message('a', 2), message('a', 3))
    const [first] = await take(mine)
    if (!first) throw new Error('there is one')
    const waiting = take(mine, 20_000)
    await settle(mine, ACK, first)
    const [second] = await waiting
    expect(second?.message.id).toBe('a/2')
    if (!second) throw new Error('there is one')
    const elsewhere = take(other, 20_000)
    await settle(mine, ACK, second)
    expect(ids(await elsewhere)).toEqual(['a/3'])
  })

  test('moving passes the turn on', async () => {
    const failed: QueueSpec = {
      kind: 'queue',
      name: spec.deadLetter ?? '',
      role: 'dead-letter',
      leaseMs: 30_000,
      dedupWindowMs: 0,
      order: 'none',
    }
    await drivers[0]?.admin.declare(failed, signal)
    const mine = await receiver()
    await send(message('a', 1), message('a', 2))
    await settle(mine, { kind: 'move', to: failed.name, headers: {} }, ...(await take(mine)))
    const second = await take(mine)
    expect(ids(second)).toEqual(['a/2'])
    await settle(mine, ACK, ...second)
    expect(await leftovers()).toEqual([])
  })

  test('what others XADD has its turn as what msgloop sends', async () => {
    const mine = await receiver()
    const stream = streamOf(spec.name)
    await send(message('a', 1))
    await raw.xadd(stream, '*', 'id', 'theirs', 'body', '2', 'msgloop-key', 'a')
    await raw.xadd(stream, '*', 'id', 'free', 'body', '2', 'msgloop-key', '')
    await send(message('a', 3))
    const seen: string[] = []
    for (let n = 0; n < 4; n++) {
      const taken = await take(mine, 0, 1)
      seen.push(...ids(taken))
      await settle(mine, ACK, ...taken)
    }
    expect(seen).toEqual(['a/1', 'theirs', 'free', 'a/3'])
    expect(await leftovers()).toEqual([])
  })

  test('an entry that is deleted by hand does not stop its key', async () => {
    const mine = await receiver()
    await send(message('a', 1), message('a', 2), message('a', 3), message('a', 4))
    const [first] = await take(mine)
    if (!first) throw new Error('there is one')
    const entries = await raw.xrange(streamOf(spec.name), '-', '+')
    // One that waits, then the one whose turn it is.
    await raw.xdel(streamOf(spec.name), entries[1]?.[0] ?? '')
    await settle(mine, ACK, first)
    const third = await take(mine, 1_000)
    expect(ids(third)).toEqual(['a/3'])
    await raw.xdel(streamOf(spec.name), entries[2]?.[0] ?? '')
    const healing = await receiver()
    expect(ids(await take(healing, 1_000))).toEqual(['a/4'])
  })

  test('purging takes what waits for its turn or its retry, and leaves the key of what is held in order', async () => {
    const mine = await receiver()
    const messages = Array.from({ length: 5_000 }, (_, n) => message(`k${n % 7}`, n))
    await send(...messages, message('later', 1), message('later', 2))
    const held: Delivery[] = []
    while (held.length < 8) held.push(...(await take(mine)))
    const retried = held.find(({ message: { key } }) => key === 'later')
    const kept = held.find(({ message: { key } }) => key === 'k0')
    if (!retried || !kept) throw new Error('both are there')
    await settle(mine, retry(3_600_000), retried)
    const release = held.filter((each) => each !== kept && each !== retried)
    await settle(mine, { kind: 'release' }, ...release)
    expect(await drivers[0]?.admin.purge(spec, signal)).toBe(5_001)
    expect(await drivers[0]?.admin.stats(spec, signal)).toMatchObject({ ready: 0, inFlight: 1, delayed: 0 })
    await send(message('k0', 9_001), message('k1', 9_002), message('later', 9_003))
    const next = await take(mine)
    expect(ids(next)).toEqual(['k1/9002', 'later/9003'])
    await settle(mine, ACK, ...next, kept)
    const last = await take(mine)
    expect(ids(last)).toEqual(['k0/9001'])
    await settle(mine, ACK, ...last)
    expect(await leftovers()).toEqual([])
  })

  test('behind a backlog of one key the others are found, and it goes on in order', async () => {
    await send(...Array.from({ length: 3_000 }, (_, n) => message('hot', n)), message('cold', 1))
    const mine = await receiver()
    const seen: string[] = []
    while (!seen.includes('cold/1')) {
      const taken = await take(mine, 1_000)
      seen.push(...ids(taken))
      await settle(mine, ACK, ...taken)
    }
    expect(seen.length).toBeLessThan(10)
    for (let n = seen.length - 1; n < 50; n++) {
      const taken = await take(mine, 1_000)
      expect(ids(taken)).toEqual([`hot/${n}`])
      await settle(mine, ACK, ...taken)
    }
  })

  test('many receivers that come and go, settle at random and let leases end: every key in order, each message once', async () => {
    const keys = Array.from({ length: 20 }, (_, n) => `k${n}`)
    const count = 40
    /** What is settled for certain, and what is being settled: the next may be here before the answer is. */
    const settled = new Set<string>()
    const settling = new Set<string>()
    const random = (most: number): number => Math.floor(Math.random() * most)
    const verdictAtRandom = (): Verdict => {
      const choice = random(10)
      if (choice < 6) return ACK
      return choice < 7 ? { kind: 'release' } : retry(choice < 8 ? 0 : random(200))
    }
    const expectTurn = (id: string): void => {
      const [key, n] = id.split('/')
      const before = `${key}/${Number(n) - 1}`
      expect(n === '0' || settled.has(before) || settling.has(before), `${id} before ${before}`).toBe(true)
      expect(settled, 'what is settled is not handed over again').not.toContain(id)
    }
    const worker = async (): Promise<void> => {
      while (settled.size < keys.length * count) {
        const driver = open()
        const mine = await receiver(600, driver)
        for (let rounds = 5 + random(20); rounds > 0; rounds--) {
          const taken = await mine.receive(1 + random(8), random(50), signal)
          for (const id of ids(taken)) expectTurn(id)
          if (random(10) === 0) await sleep(random(900))
          const batch = taken.map(({ token }) => ({ token, verdict: verdictAtRandom() }))
          const acked = ids(taken.filter((_, n) => batch[n]?.verdict === ACK))
          for (const id of acked) settling.add(id)
          const failures = await mine.settle(batch)
          for (const { error } of failures) expect(error).toMatchObject({ code: 'LEASE_LOST' })
          const lost = new Set(failures.map(({ index }) => taken[index]?.message.id))
          for (const id of acked) lost.has(id) ? settling.delete(id) : settled.add(id)
        }
        // Half of them die with what they hold.
        if (random(2) === 0) await mine.close()
        await driver.close()
      }
    }
    const sending = (async () => {
      for (let n = 0; n < count; n++) {
        await send(...keys.map((key) => message(key, n)))
        await sleep(random(20))
      }
    })()
    await Promise.all([sending, ...Array.from({ length: 6 }, worker)])
    await expect.poll(leftovers, FACT).toEqual([])
    expect(await raw.xlen(streamOf(spec.name))).toBe(0)
  })
})
