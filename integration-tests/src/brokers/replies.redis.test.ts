import { randomUUID } from 'node:crypto'
import { redisStreams } from '@msgloop/adapter-redis-streams'
import type { Driver, Replies, Reply, ReplyChannel, WireMessage } from '@msgloop/core/driver'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RedisCluster, RedisServer } from '../redis-server.js'
import { startRedis, startRedisCluster } from '../redis-server.js'

const FACT = { timeout: 15_000, interval: 20 }

interface Requester {
  readonly channel: ReplyChannel
  readonly got: WireMessage[]
  readonly lost: unknown[]
}

const repliesOf = ({ replies }: Driver): Replies => {
  if (!replies) throw new Error('there are replies')
  return replies
}
async function open(driver: Driver): Promise<Requester> {
  const got: WireMessage[] = []
  const lost: unknown[] = []
  const channel = await repliesOf(driver).open(
    { onReply: (message) => void got.push(message), onLost: (error) => void lost.push(error) },
    AbortSignal.timeout(10_000),
  )
  return { channel, got, lost }
}
const answer = (address: string, n: number, body: Uint8Array = Buffer.from('1')): Reply => ({
  address,
  message: {
    id: `r${n}`,
    body,
    headers: { 'msgloop-error': 'ä' },
    timestamp: 0,
    contentType: 'text/plain',
    causationId: `${n}`,
    correlationId: 'c',
  },
})
const answers = (driver: Driver, batch: readonly Reply[]) =>
  repliesOf(driver).send(batch, AbortSignal.timeout(10_000))

describe('answers by Redis', () => {
  let server: RedisServer
  let raw: Redis
  let asking: Driver
  let answering: Driver

  beforeAll(async () => {
    server = await startRedis('redis:8')
    raw = server.client()
  })
  afterAll(async () => {
    raw?.disconnect()
    await server?.stop()
  })
  beforeEach(() => {
    asking = redisStreams({ url: server.url() })
    answering = redisStreams({ url: server.url() })
  })
  afterEach(async () => {
    await asking.close()
    await answering.close()
  })
  const kill = () => raw.call('CLIENT', 'KILL', 'TYPE', 'pubsub')

  test('arrive whole and in order, of any size, and leave nothing in the server', async () => {
    const keys = await raw.dbsize()
    const { channel, got, lost } = await open(asking)
    expect(channel.address).toMatch(/^[\x21-\x7e]{1,200}$/)
    const large = Buffer.alloc(4 * 1_024 * 1_024, 0xff)
    const batch = [answer(channel.address, 0, large), answer(channel.address, 1, Buffer.alloc(0))]
    for (let n = 2; n < 1_000; n++) batch.push(answer(channel.address, n))
    expect(await answers(answering, batch)).toEqual([])
    await expect.poll(() => got.length, FACT).toBe(1_000)
    for (const [n, { message }] of batch.entries()) {
      expect(got[n]).toMatchObject({ ...message, body: expect.anything() })
      expect(Buffer.compare(got[n]?.body ?? large, message.body)).toBe(0)
    }
    await channel.close()
    expect(lost).toEqual([])
    expect(await raw.dbsize()).toBe(keys)
    await expect.poll(() => raw.pubsub('CHANNELS', 'msgloop:*'), FACT).toEqual([])
  })

  test('to a channel that is gone are no failure', async () => {
    const { channel, got } = await open(asking)
    await channel.close()
    expect(await answers(answering, [answer(channel.address, 1), answer('msgloop:never', 2)])).toEqual([])
    expect(got).toEqual([])
  })

  test('a channel whose connection is cut says so once, and another works', async () => {
    const first = await open(asking)
    await kill()
    await expect.poll(() => first.lost, FACT).toMatchObject([{ code: 'CONNECTION_LOST', retryable: true }])
    const second = await open(asking)
    await answers(answering, [answer(second.channel.address, 1)])
    await expect.poll(() => second.got.length, FACT).toBe(1)
    await second.channel.close()
    await kill()
    expect([first.lost.length, second.lost.length]).toEqual([1, 0])
  })

  test('a channel whose server is silent is lost, and not waited on for ever', async () => {
    const quick = redisStreams({ url: server.url(), replyTimeoutMs: 500 })
    const { lost } = await open(quick)
    await server.pause()
    await expect.poll(() => lost, FACT).toMatchObject([{ code: 'CONNECTION_LOST' }])
    await server.unpause()
    await quick.close()
  })

  test('what is no answer is dropped, and the next one arrives', async () => {
    const { channel, got } = await open(asking)
    for (const rubbish of ['', 'hello', '{"a":1}', Buffer.from([0x91, 0xdb, 0xff, 0xff, 0xff, 0xff])])
      await raw.publish(channel.address, rubbish)
    await answers(answering, [answer(channel.address, 1)])
    await expect.poll(() => got, FACT).toMatchObject([{ causationId: '1' }])
  })

  test('another client asks: it subscribes, and is answered by MessagePack of names and values', async () => {
    const address = `theirs-${randomUUID()}`
    const other = server.client()
    const payloads: Buffer[] = []
    other.on('messageBuffer', (_: Buffer, payload: Buffer) => void payloads.push(payload))
    await other.subscribe(address)
    await answers(answering, [answer(address, 1)])
    await expect.poll(() => payloads.length, FACT).toBe(1)
    expect(payloads[0]?.[0]).toBe(0x9c)
    expect(String(payloads[0])).toContain('msgloop-causation-id')
    other.disconnect()
  })
})

describe('answers by a cluster', () => {
  let cluster: RedisCluster
  let asking: Driver
  let answering: Driver

  beforeAll(async () => {
    cluster = await startRedisCluster('redis:7.0')
    asking = redisStreams({ url: cluster.url() })
    answering = redisStreams({ url: cluster.url() })
  })
  afterAll(async () => {
    await asking?.close()
    await answering?.close()
    await cluster?.stop()
  })

  test('arrive whichever node the channel is on', async () => {
    const used = new Set<number>()
    for (let n = 0; used.size < 3; n++) {
      const { channel, got } = await open(asking)
      used.add(await cluster.nodeOf(channel.address))
      expect(await answers(answering, [answer(channel.address, n)])).toEqual([])
      await expect.poll(() => got, FACT).toMatchObject([{ causationId: `${n}` }])
      await channel.close()
    }
  })

  test('a channel whose slot is moved is lost, and another works', async () => {
    const { channel, lost } = await open(asking)
    const at = await cluster.nodeOf(channel.address)
    await cluster.moveSlotOf(channel.address, (at + 1) % 3)
    await expect.poll(() => lost.length, FACT).toBe(1)
    expect(await answers(answering, [answer(channel.address, 1)])).toEqual([])
    const next = await open(asking)
    await answers(answering, [answer(next.channel.address, 2)])
    await expect.poll(() => next.got.length, FACT).toBe(1)
    await next.channel.close()
  })
})
