import { randomUUID } from 'node:crypto'
import type { InboxBed } from '@msgloop/conformance'
import { writeReport } from '@msgloop/conformance'
import { describeConformance } from '@msgloop/conformance/vitest'
import type { RedisRun } from '@msgloop/redis'
import { redisInbox } from '@msgloop/redis'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memoryHarness } from '../harness/memory.js'
import type { RedisServer } from '../redis-server.js'
import { REDIS_IMAGES, startRedis } from '../redis-server.js'

for (const image of REDIS_IMAGES)
  describeConformance(
    `inbox on ${image}`,
    async () => {
      const server = await startRedis(image)
      const clients: Redis[] = [server.client()]
      const [store] = clients
      const bed: InboxBed<RedisRun> = {
        apart: 'a mark in Redis is not in the transaction of the effects',
        open(name) {
          const client = server.client()
          clients.push(client)
          return redisInbox(client, { name })
        },
        effect: async (_run, key) => void (await store?.incr(`effects:${key}`)),
        count: async (key) => Number((await store?.get(`effects:${key}`)) ?? 0),
      }
      const harness = memoryHarness('inbox', image, bed)
      return {
        ...harness,
        async close() {
          await harness.close()
          for (const client of clients) client.disconnect()
          await server.stop()
        },
      }
    },
    {
      filter: ({ clauses }) => clauses.includes('X3'),
      onReport: (report) =>
        writeReport(`.reports/conformance/inbox-${image.replace(/\W+/g, '-')}.json`, report),
    },
  )

describe('claims of a redis inbox', () => {
  let server: RedisServer
  let client: Redis
  const never = new AbortController().signal
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
  const mark = () => ({ queue: 'q', id: randomUUID() })

  beforeAll(async () => {
    server = await startRedis('redis:8')
    client = server.client()
  })
  afterAll(async () => {
    client?.disconnect()
    await server?.stop()
  })

  test('a run three claims long keeps its claim, and is not overtaken', async () => {
    const inbox = redisInbox(client, { claim: '1s' })
    const m = mark()
    const first = inbox.run(m, () => pause(3_200), never)
    await pause(1_500)
    expect(await redisInbox(client, { claim: '1s' }).run(m, async () => {}, never)).toMatch(
      /running|duplicate/,
    )
    expect(await first).toBe('committed')
    expect(await inbox.run(m, async () => {}, never)).toBe('duplicate')
  })

  test('a run that was overtaken is told, marks nothing, and has the smaller token', async () => {
    const inbox = redisInbox(client, { claim: '1s' })
    const m = mark()
    const tokens: number[] = []
    const first = inbox.run(
      m,
      async ({ token }) => {
        tokens.push(token)
        // As a process that stood still for longer than its claim: the key has expired, and another has begun.
        await client.del(...(await client.keys(`*${m.id}`)))
        const second = await inbox.run(m, async (run) => void tokens.push(run.token), never)
        expect(second).toBe('committed')
      },
      never,
    )
    await expect(first).rejects.toMatchObject({ code: 'LEASE_LOST' })
    expect(tokens[1]).toBeGreaterThan(tokens[0] ?? Number.NaN)
    expect(await inbox.find(m, never)).toBe('marked')
  })

  test('the claim of a process that died ends by itself', async () => {
    const inbox = redisInbox(client, { claim: '1s' })
    const m = mark()
    const died = server.client()
    void redisInbox(died, { claim: '1s' })
      .run(m, () => new Promise(() => {}), never)
      .catch(() => {})
    await expect.poll(() => inbox.find(m, AbortSignal.abort())).toBe('running')
    died.disconnect()
    await expect.poll(() => inbox.run(m, async () => {}, never), { timeout: 10_000 }).toBe('committed')
  })

  test('bad options are refused before any I/O', () => {
    for (const bad of [{ name: '' }, { claim: '10ms' }, { keep: '1s' }, { ttl: 1 }, null])
      expect(() => redisInbox(client, bad as never)).toThrow(/redisInbox/)
  })
})
