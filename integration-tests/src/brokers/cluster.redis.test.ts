import { randomUUID } from 'node:crypto'
import { redisStreams } from '@msgloop/adapter-redis-streams'
import { describeConformance } from '@msgloop/conformance/vitest'
import type { Broker, Queue } from '@msgloop/core'
import { createBroker, defineQueue, fixed, immediate } from '@msgloop/core'
import type { QueueSpec } from '@msgloop/core/driver'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { redisClusterHarness, streamOf } from '../harness/redis.js'
import type { RedisCluster } from '../redis-server.js'
import { startRedisCluster } from '../redis-server.js'

const FACT = { timeout: 30_000, interval: 20 }

describeConformance(
  'conformance on a cluster of three masters',
  async () => {
    const cluster = await startRedisCluster('redis:8')
    const harness = await redisClusterHarness(cluster)
    return {
      ...harness,
      async close() {
        await harness.close()
        await cluster.stop()
      },
    }
  },
  // Those that watch the clock are proven on single servers.
  { filter: ({ exclusive }) => !exclusive },
)

describe('a real Redis Cluster of three masters', () => {
  let cluster: RedisCluster
  let broker: Broker
  let name: string

  beforeAll(async () => {
    cluster = await startRedisCluster('redis:7.0')
  })
  afterAll(async () => {
    await cluster?.stop()
  })
  beforeEach(() => {
    name = `cluster-${randomUUID()}`
    broker = createBroker(redisStreams({ url: cluster.url() }))
  })
  afterEach(() => broker.close())

  /** A queue name whose keys are on that node. */
  const nameOn = async (node: number): Promise<string> => {
    for (;;) {
      const candidate = `cluster-${randomUUID()}`
      if ((await cluster.nodeOf(streamOf(candidate))) === node) return candidate
    }
  }
  const handled = (queue: Queue<number>): number[] => {
    const seen: number[] = []
    queue.consume((body) => void seen.push(body), { onError: () => {} })
    return seen
  }

  test('queues spread over all nodes, and a queue is on one with its dead letters', async () => {
    const used = new Set<number>()
    for (let n = 0; n < 12; n++) {
      const each = `${name}-${n}`
      const queue = broker.queue(defineQueue<number>(each, { retry: immediate({ attempts: 1 }) }))
      queue.consume((body) => {
        if (body === 0) throw new Error('dead')
      })
      await queue.send(0)
      await queue.send(1, { delay: '1h' })
      await expect.poll(async () => (await queue.stats()).dead, FACT).toBe(1)
      const node = await cluster.nodeOf(streamOf(each))
      expect(await cluster.nodeOf(streamOf(`${each}.dlq`))).toBe(node)
      const keys = (await cluster.nodes[node]?.client.keys(`*${each}*`)) ?? []
      expect(keys.length).toBeGreaterThan(4)
      for (const [other, { client }] of cluster.nodes.entries())
        if (other !== node) expect(await client.keys(`*${each}*`)).toEqual([])
      used.add(node)
    }
    expect(used).toEqual(new Set([0, 1, 2]))
  })

  test('dead letters on another node, and replays to one, arrive there once and leave here', async () => {
    const deadLetter = await nameOn(1)
    const elsewhere = await nameOn(2)
    const queue = broker.queue(
      defineQueue<number>(await nameOn(0), { deadLetter, retry: immediate({ attempts: 1 }) }),
    )
    const other = broker.queue<number>(elsewhere)
    await other.receive()
    queue.consume(() => Promise.reject(new Error('dead')))
    for (let n = 0; n < 20; n++) await queue.send(n, { headers: { n: `${n}` } })
    await expect.poll(async () => (await queue.stats()).dead, FACT).toBe(20)
    expect(await queue.stats()).toMatchObject({ ready: 0, inFlight: 0, delayed: 0 })
    const dead = []
    for await (const entry of queue.deadLetters.list()) dead.push(entry)
    expect(dead.map((entry) => [entry.reason, entry.headers.n])).toEqual(
      Array.from({ length: 20 }, (_, n) => ['exhausted', `${n}`]),
    )
    expect(await queue.deadLetters.replay({}, { to: elsewhere })).toMatchObject({ replayed: 20, failed: 0 })
    const seen = handled(other)
    await expect.poll(() => seen.length, FACT).toBe(20)
    expect(new Set(seen).size).toBe(20)
    expect((await queue.stats()).dead).toBe(0)
  })

  test('a delivery that is no longer ours leaves no copy on another node', async () => {
    const deadLetter = await nameOn(1)
    const driver = redisStreams({ url: cluster.url() })
    const signal = AbortSignal.timeout(20_000)
    const common = { kind: 'queue', leaseMs: 100, dedupWindowMs: 0, order: 'none' } as const
    const dead: QueueSpec = { ...common, name: deadLetter, role: 'dead-letter' }
    const spec: QueueSpec = { ...common, name: await nameOn(0), role: 'work', deadLetter }
    await driver.admin.declare(dead, signal)
    await driver.admin.declare(spec, signal)
    const sender = await driver.openSender(spec, signal)
    const message = { id: 'm', body: Buffer.from('1'), headers: {}, timestamp: 1 }
    expect(await sender.send([{ delayMs: 0, message }], signal)).toEqual([])
    const options = { prefetch: 1, leaseMs: 100, consumer: 'c', onLost: () => {} }
    const first = await driver.openReceiver(spec, options, signal)
    const [stale] = await first.receive(1, 5_000, signal)
    const second = await driver.openReceiver(spec, { ...options, leaseMs: 60_000 }, signal)
    const [current] = await second.receive(1, 5_000, signal)
    expect(current?.message.id).toBe('m')
    const verdict = { kind: 'move', to: deadLetter, headers: {} } as const
    const [failure] = await first.settle([{ token: stale?.token, verdict }])
    expect(failure?.error).toMatchObject({ code: 'LEASE_LOST' })
    expect((await driver.admin.stats(dead, signal)).ready).toBe(0)
    expect(await second.settle([{ token: current?.token, verdict }])).toEqual([])
    expect((await driver.admin.stats(dead, signal)).ready).toBe(1)
    await Promise.all([first.close(), second.close()])
    await driver.close()
  })

  test('a slot that moves while its queue is used loses and doubles nothing that was confirmed', async () => {
    const from = 0
    const queueName = await nameOn(from)
    const queue = broker.queue(
      defineQueue<number>(queueName, {
        lease: '2s',
        sendTimeout: '20s',
        retry: fixed({ attempts: 3, delay: '100ms' }),
      }),
    )
    const seen: number[] = []
    queue.consume(
      (body, message) => {
        if (body % 10 === 0 && message.attempt === 1) throw new Error('once')
        seen.push(body)
      },
      { onError: () => {} },
    )
    const sent: number[] = []
    let moving = true
    const moves = (async () => {
      for (const to of [1, 2, 0]) {
        const before = seen.length
        await expect.poll(() => seen.length, FACT).toBeGreaterThan(before + 50)
        await cluster.moveSlotOf(streamOf(queueName), to)
      }
      moving = false
    })()
    for (let n = 0; moving; n++) {
      await queue.send(n)
      sent.push(n)
    }
    await moves
    await expect.poll(() => new Set(seen).size, FACT).toBe(sent.length)
    expect(seen).toHaveLength(sent.length)
    await expect.poll(async () => queue.stats(), FACT).toMatchObject({ ready: 0, inFlight: 0, delayed: 0 })
  })

  test('a topic is on one node with its subscriptions, and topics spread; what fails comes back to its subscription alone', async () => {
    const used = new Set<number>()
    for (let n = 0; used.size < 3; n++) {
      const topic = broker.topic<number>(`${name}-${n}`)
      const node = await cluster.nodeOf(`{${topic.name}}`)
      const [sound, failing] = ['sound', 'failing'].map((each) =>
        topic.subscription(each, { retry: immediate({ attempts: 1 }) }),
      )
      if (!sound || !failing) throw new Error('there are two')
      for (const each of [sound, failing]) await each.create()
      const seen: number[] = []
      sound.consume((body) => void seen.push(body))
      let fails = true
      const mended: number[] = []
      failing.consume(
        (body) => {
          if (fails) throw new Error('dead')
          mended.push(body)
        },
        { onError: () => {} },
      )
      await topic.publishBatch(Array.from({ length: 20 }, (_, body) => ({ subject: 'a.b', body })))
      await expect.poll(() => seen.length, FACT).toBe(20)
      await expect.poll(async () => (await failing.stats()).dead, FACT).toBe(20)
      for (const [other, { client }] of cluster.nodes.entries()) {
        const keys = await client.keys(`*{${topic.name}}*`)
        if (other === node) expect(keys.length).toBeGreaterThan(4)
        else expect(keys).toEqual([])
      }
      fails = false
      expect(await failing.deadLetters.replay()).toMatchObject({ replayed: 20, failed: 0 })
      await expect.poll(() => mended.length, FACT).toBe(20)
      expect([new Set(mended).size, seen.length, (await failing.stats()).dead]).toEqual([20, 20, 0])
      used.add(node)
    }
  })

  test('publishing goes on while the slot of the topic moves: each subscription gets what was confirmed, once', async () => {
    const topic = broker.topic<number>(name)
    const seen = await Promise.all(
      ['one', 'two'].map(async (each) => {
        const subscription = topic.subscription(each)
        await subscription.create()
        const got: number[] = []
        subscription.consume((body) => void got.push(body), { onError: () => {} })
        return got
      }),
    )
    const at = await cluster.nodeOf(`{${name}}`)
    let moving = true
    const moved = cluster.moveSlotOf(`{${name}}`, (at + 1) % 3).finally(() => {
      moving = false
    })
    const sent: number[] = []
    for (let n = 0; moving || n < 200; n++) {
      await topic.publish('a', n)
      sent.push(n)
    }
    await moved
    for (const got of seen) {
      await expect.poll(() => got.length, FACT).toBe(sent.length)
      expect(new Set(got).size).toBe(sent.length)
    }
  })

  test('requests to queues on every node are answered, a hundred at once', async () => {
    const asking = createBroker(redisStreams({ url: cluster.url() }))
    for (const node of [0, 1, 2]) {
      const definition = defineQueue<number>(await nameOn(node))
      broker.queue(definition).consume((body) => body * 2)
      const queue = asking.queue(definition)
      const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => queue.request(n)))
      expect(answers).toEqual(Array.from({ length: 100 }, (_, n) => 2 * n))
    }
    await asking.close()
  })

  test('each key stays in order while the slot of its queue moves, with retries, and dead letters on another node', async () => {
    const definition = defineQueue<number>(await nameOn(0), {
      order: 'key',
      lease: '2s',
      deadLetter: await nameOn(1),
      retry: fixed({ attempts: 3, delay: '50ms' }),
    })
    const done = new Map<string, number[]>()
    const brokers = [0, 1].map(() => createBroker(redisStreams({ url: cluster.url() })))
    for (const each of brokers)
      each.queue(definition).consume(
        (body, { key = '', attempt }) => {
          if (body % 9 === 0 && attempt < 3) throw new Error('again')
          if (body % 10 === 7) throw new Error('dead')
          done.set(key, [...(done.get(key) ?? []), body])
        },
        { onError: () => {} },
      )
    const queue = broker.queue(definition)
    let moving = true
    const moves = (async () => {
      for (const to of [1, 2, 0]) await cluster.moveSlotOf(streamOf(definition.name), to)
      moving = false
    })()
    let count = 0
    for (; moving || count < 50; count++)
      await Promise.all(['a', 'b', 'c', 'd', 'e'].map((key) => queue.send(count, { key })))
    await moves
    const expected = Array.from({ length: count }, (_, n) => n).filter((n) => n % 10 !== 7)
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      await expect.poll(() => done.get(key)?.length, FACT).toBe(expected.length)
      expect(done.get(key), key).toEqual(expected)
    }
    await expect.poll(() => queue.stats(), FACT).toMatchObject({ ready: 0, inFlight: 0, delayed: 0 })
    expect((await queue.stats()).dead).toBe(5 * (count - expected.length))
    for (const each of brokers) await each.close()
  })

  test('a URL for one server is refused as INVALID, and says which to give', async () => {
    const [node] = cluster.nodes
    const single = createBroker(redisStreams({ url: `redis://${node?.host}:${node?.port}` }))
    await expect(single.connect()).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('redis+cluster://'),
    })
    await single.close()
  })

  test('one node of the URL that answers is enough, whichever it is', async () => {
    for (const { host, port } of cluster.nodes) {
      const url = `redis+cluster://127.0.0.1:1,${host}:${port}`
      const opened = createBroker(redisStreams({ url }))
      for (let n = 0; n < 3; n++) await opened.queue<number>(`${name}-${n}`).send(n)
      await opened.close()
    }
  })

  test('when a node is killed its queues wait for it, those of the others go on, and nothing is lost', async () => {
    const here = await nameOn(0)
    const there = await nameOn(1)
    const queues = [here, there].map((each) =>
      broker.queue(defineQueue<number>(each, { sendTimeout: '30s', lease: '2s' })),
    )
    const [mine, other] = queues
    if (!mine || !other) throw new Error('there are two')
    const seen = handled(mine)
    const seenThere = handled(other)
    await mine.send(1)
    await other.send(1)
    await expect.poll(() => [...seen, ...seenThere], FACT).toEqual([1, 1])
    // Or the rest would refuse everything while a part of the slots is not covered.
    for (const { client } of cluster.nodes) await client.config('SET', 'cluster-require-full-coverage', 'no')
    await mine.send(2, { delay: '1s' })
    await cluster.nodes[0]?.server.kill()
    const waiting = mine.send(3)
    await other.send(2)
    await expect.poll(() => seenThere, FACT).toEqual([1, 2])
    await cluster.nodes[0]?.server.start()
    await waiting.catch(() => {})
    await mine.send(4)
    await expect.poll(() => [2, 4].every((n) => seen.includes(n)), FACT).toBe(true)
  })
})
